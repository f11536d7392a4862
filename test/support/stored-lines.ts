/**
 * The commits of every line in a store's copy on disk, walked by names, judged by content: a second reader that shares
 * no code with the program. What it finds wrong it says; what no walk reaches it leaves out, as a restore does.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cutCommits, plainBytes, type RecordedCommit } from './recorded-database.ts';
import type { StoredDatabase, StoredGeneration, StoredLogObject } from './stored-log.ts';

export interface StoredLine {
  readonly generation: string;
  readonly commits: readonly RecordedCommit[];
  /** One line each; empty where all is right. */
  readonly faults: readonly string[];
}

type Generation = StoredGeneration & { readonly parentCrc: string | null };

export class StoredLines {
  readonly #root: string;
  readonly #generations: ReadonlyMap<string, Generation>;
  readonly #commits = new Map<string, readonly RecordedCommit[]>();

  private constructor(root: string, generations: ReadonlyMap<string, Generation>) {
    this.#root = root;
    this.#generations = generations;
  }

  static async read(root: string, { generations }: StoredDatabase): Promise<StoredLines> {
    const found = new Map<string, Generation>();
    for (const generation of generations) {
      const text = await readFile(join(root, 'generations', generation.name, 'generation.json'), 'utf8');
      const { parent } = JSON.parse(text) as { parent: { crc: string } | null };
      found.set(generation.name, { ...generation, parentCrc: parent?.crc ?? null });
    }
    return new StoredLines(root, found);
  }

  get names(): string[] {
    return [...this.#generations.keys()];
  }

  /** An object's commits, checked against its name. */
  async commitsOf(object: StoredLogObject): Promise<{ commits: readonly RecordedCommit[]; faults: string[] }> {
    const known = this.#commits.get(object.key);
    const commits = known ?? cutCommits(plainBytes(await readFile(join(this.#root, object.key))));
    this.#commits.set(object.key, commits);
    const faults: string[] = [];
    for (const [index, commit] of commits.entries()) {
      const expected = index === 0 ? object.first : (commits[index - 1]?.lastTx ?? 0n) + 1n;
      if (commit.firstTx !== expected) faults.push(`${object.key}: ${commit.firstTx} in the place of ${expected}`);
    }
    if (commits.at(-1)?.lastTx !== object.last) faults.push(`${object.key} ends at ${commits.at(-1)?.lastTx}`);
    if (crcOf(commits.at(-1)) !== object.crc)
      faults.push(`${object.key}: its last commit has ${crcOf(commits.at(-1))}`);
    return { commits, faults };
  }

  /** The line that ends with `name`, up to `until` where given. */
  async line(name: string, until: bigint | null = null): Promise<StoredLine> {
    const generation = this.#generations.get(name);
    if (generation === undefined) return { generation: name, commits: [], faults: [`${name} is named and not there`] };
    const { parent, parentCrc, objects } = generation;
    const base = parent === null ? null : await this.line(parent.generation, parent.tx);
    const commits: RecordedCommit[] = [...(base?.commits ?? [])];
    const faults = [...(base?.faults ?? [])];
    if (parent !== null && (commits.at(-1)?.lastTx !== parent.tx || crcOf(commits.at(-1)) !== parentCrc)) {
      const end = `${commits.at(-1)?.lastTx ?? 'nothing'} (${crcOf(commits.at(-1))})`;
      faults.push(`${name} branches off at ${parent.tx} (${parentCrc}), but that line ends at ${end}`);
    }
    for (;;) {
      // A line without a parent begins where its log did.
      const next = (commits.at(-1)?.lastTx ?? (objects[0]?.first ?? 0n) - 1n) + 1n;
      if (until !== null && next > until) break;
      const prev = crcOf(commits.at(-1));
      const candidates = objects.filter((object) => object.first === next && object.prev === prev);
      const object = candidates.toSorted((a, b) => Number(b.last - a.last))[0];
      if (object === undefined) break;
      const read = await this.commitsOf(object);
      faults.push(...read.faults);
      const own = read.commits.filter(({ lastTx }) => until === null || lastTx <= until);
      // Content that is not what the name says: a fault, and nothing to go on from.
      if (own.length === 0) break;
      commits.push(...own);
    }
    return { generation: name, commits, faults };
  }
}

/** The last four bytes of a commit; zeros before the first. */
const crcOf = (commit: RecordedCommit | undefined): string =>
  commit === undefined
    ? '00000000'
    : commit.bytes
        .readUInt32LE(commit.bytes.byteLength - 4)
        .toString(16)
        .padStart(8, '0');
