/**
 * What really happened: every commit that a server of the simulation ever wrote, each with the one before it. Histories
 * that part are branches of one tree; whatever a restore gives must be a path in it.
 */
import { encodeCommit } from '../../src/spacetimedb/commit.ts';
import { type Crc32c, crc32cValue, type TxOffset, txOffset } from '../../src/core/types.ts';

export interface Commit {
  readonly before: Commit | null;
  readonly first: TxOffset;
  readonly last: TxOffset;
  readonly crc: Crc32c;
  /** As in a segment of version 1. */
  readonly bytes: Uint8Array;
}

export interface NewCommit {
  readonly before: Commit | null;
  readonly count: number;
  readonly epoch: bigint;
  readonly records: Uint8Array;
}

export class History {
  readonly #commits = new Map<string, Commit>();

  /** The commit as bytes; the same one where it was written before in the same place. */
  add({ before, count, epoch, records }: NewCommit): Commit {
    const first = txOffset(before === null ? 0n : before.last + 1n);
    const bytes = encodeCommit({ version: 1, tx: first, epoch, count, records });
    const crc = crc32cValue(Buffer.from(bytes).readUInt32LE(bytes.byteLength - 4));
    const last = txOffset(first + BigInt(count) - 1n);
    const known = this.find({ tx: last, crc });
    if (known !== undefined) return known;
    const commit: Commit = { before, first, last, crc, bytes };
    this.#commits.set(`${last} ${crc}`, commit);
    return commit;
  }

  find({ tx, crc }: { tx: bigint; crc: number }): Commit | undefined {
    return this.#commits.get(`${tx} ${crc}`);
  }
}

/** Of version 1: after the offset. */
export const epochOf = ({ bytes }: Commit): bigint =>
  new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(8, true);

/** The commit itself and all before it, newest first. */
export function* backFrom(commit: Commit | null): Generator<Commit, void, void> {
  for (let at = commit; at !== null; at = at.before) yield at;
}

/** Whether `older` is `newer` or lies before it on its branch. */
export function leadsTo(older: Commit | null, newer: Commit | null): boolean {
  if (older === null) return true;
  for (const at of backFrom(newer)) {
    if (at === older) return true;
    if (at.last < older.last) return false;
  }
  return false;
}
