/** Commits that no log object holds any more: each is kept by the manifest of the snapshot that was taken at it. */
import { CorruptionError } from '../core/errors.ts';
import type { FetchOptions } from '../restore/fetch-parts.ts';
import { isUnusable } from '../restore/follow-plan.ts';
import type { LineRun } from '../restore/line-runs.ts';
import { loggedCommit } from './logged-commit.ts';
import type { TimedCommit } from './object-commits.ts';
import { readManifestFacts } from './read-manifest-facts.ts';

export class OwnCommits {
  readonly #fetch: FetchOptions;
  /** By the manifest's key. */
  readonly #read = new Map<string, Promise<TimedCommit | null>>();

  constructor(fetch: FetchOptions) {
    this.#fetch = fetch;
  }

  /**
   * The commit that a run begins with and no step of it holds; null where there is none. Read once.
   *
   * @throws CorruptionError with the manifest's key, where the manifest, or the pack that holds the commit, is damaged or
   * gone; what the client throws
   */
  async of({ snapshot, commitFromManifest }: LineRun): Promise<TimedCommit | null> {
    if (snapshot === null || !commitFromManifest) return null;
    const known = this.#read.get(snapshot.key);
    if (known !== undefined) return await known;
    const reading = this.#readCommit(snapshot);
    this.#read.set(snapshot.key, reading);
    return await reading;
  }

  async #readCommit({ generation, tx, key, size }: NonNullable<LineRun['snapshot']>): Promise<TimedCommit | null> {
    try {
      const manifest = { generation, tx, manifestKey: key, manifestBytes: size };
      const { header, commit } = await readManifestFacts(manifest, this.#fetch);
      if (commit === null) return null;
      return { commit: { ...loggedCommit(commit.facts, generation), inLog: false }, time: header.time };
    } catch (error) {
      if (!isUnusable(error)) throw error;
      throw new CorruptionError(error.message, { cause: error, facts: { ...error.facts, key } });
    }
  }
}
