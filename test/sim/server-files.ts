/** Names and contents of the files that the model of the server writes. */
import { blake3Hex } from '../../src/core/checksum.ts';
import { txOffset } from '../../src/core/types.ts';
import { formatObjectPath, formatSnapshotFileName } from '../../src/spacetimedb/file-names.ts';
import { encodeSnapshotFile } from '../../src/spacetimedb/snapshot-file.ts';
import { encodeFrameSync } from '../../src/zstd/frame.ts';
import { encodeSeekTable } from '../../src/zstd/seek-table.ts';
import type { Commit } from './history.ts';
import type { MemoryDisk } from './memory-disk.ts';
import type { Random } from './random.ts';

/** Small, so that everything is done on the spot and segments have several. */
const FRAME_PLAIN_BYTES = 900;

/** As the server replaces closed segments: the seekable format. */
export function compressSegment(plain: Uint8Array): Uint8Array {
  const frames: Uint8Array[] = [];
  const entries: { bytes: number; plainBytes: number }[] = [];
  for (let at = 0; at < plain.byteLength; at += FRAME_PLAIN_BYTES) {
    const part = plain.subarray(at, at + FRAME_PLAIN_BYTES);
    const frame = encodeFrameSync(part, { level: 1 });
    frames.push(frame);
    entries.push({ bytes: frame.byteLength, plainBytes: part.byteLength });
  }
  return Buffer.concat([...frames, encodeSeekTable(entries)]);
}

export const compressObject = (plain: Uint8Array): Uint8Array => encodeFrameSync(plain, { level: 1 });

/** One record: made by a reducer call with the server's time, or without inputs. */
/** @param reducer one that is called for certain; otherwise mostly `move` */
export function makeRecords(
  random: Random,
  { timeMicros, reducer }: { timeMicros: bigint; reducer?: string | undefined },
): Uint8Array {
  // Often of one length, so that another history's commits stand in the very same places.
  const length = random.weighted([
    [6, 24],
    [4, random.int(0, 90)],
    [1, random.int(200, 2_500)],
  ]);
  const body = random.bytes(length);
  if (random.chance(0.2) && reducer === undefined) return Buffer.concat([Buffer.of(0x20), body]);
  const name = Buffer.from(reducer ?? 'move');
  const inputs = Buffer.alloc(1 + name.byteLength + 32 + 16 + 8);
  inputs.writeUInt8(name.byteLength, 0);
  name.copy(inputs, 1);
  inputs.writeBigInt64LE(timeMicros, inputs.byteLength - 8);
  const head = Buffer.alloc(5);
  head.writeUInt8(0xa0, 0);
  head.writeUInt32LE(inputs.byteLength, 1);
  return Buffer.concat([head, inputs, body]);
}

/** The content of the blob that says which state a snapshot holds. */
export const stateText = (identity: string, { last, crc }: Commit): string => `state ${identity} ${last} ${crc}`;

export function parseState(text: string): { identity: string; tx: bigint; crc: number } | null {
  const [word, identity, tx, crc] = text.split(' ');
  if (word !== 'state' || identity === undefined || tx === undefined || crc === undefined) return null;
  return { identity, tx: BigInt(tx), crc: Number(crc) };
}

/** The files of a snapshot after `commit`, by path, in the order in which a server writes them. */
export function snapshotFiles(commit: Commit, { identity }: { identity: string }): [path: string, bytes: Uint8Array][] {
  const blobs = [
    stateText(identity, commit),
    // Shared with the snapshots around it.
    `shared ${commit.last / 40n} ${'x'.repeat(300)}`,
    `shared by all ${'y'.repeat(100)}`,
  ].map((text) => Buffer.from(text));
  const file = encodeSnapshotFile({
    databaseIdentity: identity,
    replicaId: 7n,
    txOffset: txOffset(commit.last),
    moduleAbiVersion: [7, 0],
    blobs: blobs.map((blob) => ({ hash: blake3Hex(blob), uses: 1 })),
    tables: [],
  });
  return [
    ...blobs.map((blob): [string, Uint8Array] => [formatObjectPath(blake3Hex(blob)), blob]),
    [formatSnapshotFileName(commit.last), file],
  ];
}

/** Where the pieces end in which a commit is written: mostly one, and cut anywhere. */
export function pieceEnds(random: Random, length: number): number[] {
  const cuts = random.weighted([
    [6, 0],
    [3, 1],
    [1, 3],
  ]);
  const ends = Array.from({ length: cuts }, () => random.int(1, length - 1));
  return [...new Set([...ends, length])].sort((a, b) => a - b);
}

/** What was not durable is gone, in whole or in part, or other bytes stand in its place. */
export function loseTail(
  disk: MemoryDisk,
  path: string,
  { durableBytes, random }: { durableBytes: number; random: Random },
): void {
  const kept = random.int(durableBytes, disk.file(path)?.size ?? durableBytes);
  disk.truncate(path, random.chance(0.4) ? durableBytes : kept);
  const fate = random.next();
  if (fate < 0.15) disk.append(path, new Uint8Array(random.int(1, 60)));
  else if (fate < 0.3) disk.append(path, random.bytes(random.int(1, 60)));
}
