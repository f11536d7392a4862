/**
 * Whether a file of the log stays unreadable: a disk that fails for a moment is waited for, a bad sector is treated as a
 * damaged commit is. Nothing is given up by this: what can be read again is read.
 */
import { isUnreadable, throughBadSectors } from '../capture/bad-sectors.ts';
import type { TailPosition } from '../capture/commit-run.ts';
import type { LogDamagedError } from '../capture/log-damage.ts';
import type { LogSource } from '../capture/log-source.ts';
import { findStandingDamage } from '../capture/standing-damage.ts';
import { LocalFileError } from '../core/errors.ts';
import { unreadableDamage } from './start-words.ts';

/** For so long, and at so many looks in a row, without a commit stored in between. */
export const LASTS_MS = 60_000;
const LOOKS_MIN = 3;
/** Failures further apart than this are not the same one. Above the longest pause between two episodes. */
const APART_MS_MAX = 300_000;

interface Seen {
  readonly path: unknown;
  /** Monotonic ms. */
  readonly since: number;
  last: number;
  looks: number;
  readonly commits: number;
}

export class UnreadableLog {
  readonly #source: LogSource;
  #seen: Seen | null = null;

  constructor(source: LogSource) {
    this.#source = source;
  }

  /**
   * To be told how an episode failed.
   *
   * @param now monotonic ms
   * @param commits how many this process has stored
   * @returns the failure where it has lasted, else null
   */
  note(cause: unknown, { now, commits }: { readonly now: number; readonly commits: number }): LocalFileError | null {
    if (!isUnreadable(cause)) return null;
    const { path } = cause.facts;
    if (typeof path !== 'string' || !path.startsWith(`${this.#source.directory}/`)) return null;
    const seen = this.#seen;
    const isSame = seen?.path === path && seen.commits === commits && now - seen.last <= APART_MS_MAX;
    const current: Seen = isSame ? seen : { path, since: now, last: now, looks: 0, commits };
    current.last = now;
    current.looks += 1;
    this.#seen = current;
    return current.looks >= LOOKS_MIN && now - current.since >= LASTS_MS ? cause : null;
  }

  /**
   * The damage at `tail`, all before which is stored; null where no good commit stands behind it, or a whole disk fails:
   * then nothing is to be had but by waiting.
   */
  async damageAt(
    tail: TailPosition,
    { cause, signal }: { readonly cause: LocalFileError; readonly signal: AbortSignal },
  ): Promise<LogDamagedError | null> {
    const { files } = this.#source;
    try {
      const through = { ...this.#source, files: throughBadSectors(files) };
      const damage = await findStandingDamage(through, tail, { signal });
      return damage && unreadableDamage(cause, damage);
    } catch (error) {
      if (error instanceof LocalFileError) return null;
      throw error;
    }
  }
}
