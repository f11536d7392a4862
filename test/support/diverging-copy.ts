/**
 * Copies of one database that were once alike and go on each for themselves: what machines make of it that were cloned,
 * or restored from one backup. Each commit names its copy, so that any stored byte tells where it came from.
 *
 * Responsible for: a growing log on disk, and the truth about it in memory. Not responsible for: pace.
 */
import { randomBytes } from 'node:crypto';
import { appendFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { txOffset } from '../../src/core/types.ts';
import { encodeCommit } from '../../src/spacetimedb/commit.ts';
import { encodeSegmentHeader } from '../../src/spacetimedb/segment-header.ts';

const COMMITS_PER_SEGMENT = 400;
const ROW_BYTES_MAX = 300;

export interface CopiedCommit {
  readonly first: bigint;
  readonly last: bigint;
  readonly bytes: Buffer;
}

export class DivergingCopy {
  readonly directory: string;
  /** All that its log holds, and nothing else; a commit is counted before it can be read. */
  readonly commits: CopiedCommit[] = [];
  readonly #name: string;
  #segment = '';

  constructor(directory: string, name: string) {
    this.directory = directory;
    this.#name = name;
  }

  get nextTx(): bigint {
    return (this.commits.at(-1)?.last ?? -1n) + 1n;
  }

  async create(): Promise<void> {
    await mkdir(join(this.directory, 'clog'), { recursive: true });
    await mkdir(join(this.directory, 'snapshots'), { recursive: true });
  }

  /** Appends the commits of another copy: the part that both have. */
  async begin(common: readonly CopiedCommit[]): Promise<void> {
    for (const commit of common) await this.#append(commit);
  }

  /** Appends `count` commits that nobody else has; each now and then holds more than one transaction. */
  async grow(count: number): Promise<void> {
    for (let i = 0; i < count; i += 1) {
      const first = this.nextTx;
      const transactions = first % 7n === 3n ? 3 : 1;
      // No reducer call: the first byte says that no inputs follow.
      const records = Buffer.concat([Buffer.of(0), Buffer.from(`${this.#name} ${first} `), noise()]);
      const bytes = Buffer.from(encodeCommit({ version: 1, tx: txOffset(first), count: transactions, records }));
      await this.#append({ first, last: first + BigInt(transactions) - 1n, bytes });
    }
  }

  async #append(commit: CopiedCommit): Promise<void> {
    if (this.commits.length % COMMITS_PER_SEGMENT === 0) {
      this.#segment = join(this.directory, 'clog', `${commit.first.toString().padStart(20, '0')}.stdb.log`);
      await writeFile(this.#segment, encodeSegmentHeader({ version: 1 }));
    }
    // Counted first: whoever reads it from the log may look it up here at once.
    this.commits.push(commit);
    await appendFile(this.#segment, commit.bytes);
  }
}

const noise = (): Buffer => randomBytes(1 + Math.floor(Math.random() * ROW_BYTES_MAX));

/**
 * Whether `commits` are the first commits of `copy`: null when they are, else where they part.
 */
export function partsFrom(commits: readonly { readonly bytes: Buffer }[], copy: DivergingCopy): number | null {
  const at = commits.findIndex(({ bytes }, index) => !(copy.commits[index]?.bytes.equals(bytes) ?? false));
  return at < 0 ? null : at;
}
