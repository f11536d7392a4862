/**
 * Databases of any size for benches, made with the project's own encoders: commits of reducer calls about 1 KiB long, and
 * snapshots of blobs of 64 KiB. Half of each payload is random and half is words, so that zstd halves it, as it does
 * with a game's log.
 */
import { mkdirSync } from 'node:fs';
import { link, mkdir, open, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { blake3Hex } from '../../src/core/checksum.ts';
import { micros, type TxOffset, txOffset } from '../../src/core/types.ts';
import { encodeCommit } from '../../src/spacetimedb/commit.ts';
import {
  CLOG_DIR,
  formatObjectPath,
  formatSegmentName,
  formatSnapshotDirName,
  formatSnapshotFileName,
  SNAPSHOTS_DIR,
} from '../../src/spacetimedb/file-names.ts';
import { encodeRecord } from '../../src/spacetimedb/record-prefix.ts';
import { encodeSegmentHeader } from '../../src/spacetimedb/segment-header.ts';
import { encodeSnapshotFile } from '../../src/spacetimedb/snapshot-file.ts';

export const OBJECT_BYTES = 65_536;
const COMMIT_ARGS_BYTES = 900;
const WRITE_BYTES = 4 * 1024 * 1024;
const TIME_START = 1_795_000_000_000_000n;
const WORDS = 'player move attack inventory sword shield potion north south east west guild chat trade quest'.split(
  ' ',
);

/** A seeded generator of bytes (xorshift32): two runs make the same database. */
class Noise {
  #state: number;

  constructor(seed: number) {
    this.#state = seed * 2_654_435_761 || 1;
  }

  next(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return x >>> 0;
  }

  /** Random words of text in the first half, random bytes in the second. */
  fill(bytes: Buffer): Buffer {
    const half = bytes.byteLength >> 1;
    for (let at = 0; at < half; ) at += bytes.write(`${WORDS[this.next() % WORDS.length] ?? ''} `, at, half - at) || 1;
    for (let at = half; at + 4 <= bytes.byteLength; at += 4) bytes.writeUInt32LE(this.next(), at);
    return bytes;
  }
}

export interface LogEnd {
  readonly nextTx: TxOffset;
  readonly bytes: number;
}

/** Appends about `bytes` of commits to the segment that begins at 0, which is made when it is not there. */
export async function appendLog(
  database: string,
  { bytes, from, seed }: { bytes: number; from: TxOffset; seed: number },
): Promise<LogEnd> {
  const clog = join(database, CLOG_DIR);
  await mkdir(clog, { recursive: true });
  await using file = await open(join(clog, formatSegmentName(txOffset(0))), 'a');
  const noise = new Noise(seed);
  const args = Buffer.alloc(COMMIT_ARGS_BYTES);
  let tx = from;
  let written = 0;
  let parts: Uint8Array[] = from === 0n ? [encodeSegmentHeader({ version: 1 })] : [];
  let held = 0;
  while (written < bytes) {
    const record = encodeRecord({
      reducer: 'player_move',
      time: micros(TIME_START + tx * 500n),
      args: noise.fill(args),
    });
    const commit = encodeCommit({ version: 1, tx, records: record });
    parts.push(commit);
    held += commit.byteLength;
    written += commit.byteLength;
    tx = txOffset(tx + 1n);
    if (held < WRITE_BYTES && written < bytes) continue;
    await file.writeFile(Buffer.concat(parts));
    parts = [];
    held = 0;
  }
  return { nextTx: tx, bytes: written };
}

/** A complete snapshot at `tx` of the blobs numbered `from` to `until`; those that `linkTo` has are hard links to it. */
export async function writeSnapshot(
  database: string,
  { tx, objects, linkTo = null }: { tx: TxOffset; objects: number; linkTo?: { tx: TxOffset; objects: number } | null },
): Promise<void> {
  const directoryOf = (at: TxOffset): string => join(database, SNAPSHOTS_DIR, formatSnapshotDirName(at));
  const directory = directoryOf(tx);
  const hashes: string[] = [];
  const plain = Buffer.alloc(OBJECT_BYTES);
  for (let index = 0; index < objects; index++) {
    new Noise(index + 1).fill(plain);
    const hash = blake3Hex(plain);
    const path = join(directory, formatObjectPath(hash));
    mkdirSync(dirname(path), { recursive: true });
    if (linkTo !== null && index < linkTo.objects)
      await link(join(directoryOf(linkTo.tx), formatObjectPath(hash)), path);
    else await writeFile(path, plain);
    hashes.push(hash);
  }
  await mkdir(directory, { recursive: true });
  const bytes = encodeSnapshotFile({
    databaseIdentity: 'c2'.repeat(32),
    replicaId: 1n,
    txOffset: tx,
    moduleAbiVersion: [7, 0],
    blobs: hashes.map((hash) => ({ hash, uses: 1 })),
    tables: [],
  });
  await writeFile(join(directory, formatSnapshotFileName(tx)), bytes);
}
