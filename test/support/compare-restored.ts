/** Judges a restored directory: byte by byte against its source, and nothing in it that should not be there. */
import { SEGMENT_VERSION_OFFSET } from '../../src/spacetimedb/segment-header.ts';
import { lastTxOf, plainBytes, type RecordedDatabase, readDatabase, readTree } from './recorded-database.ts';

export interface Comparison {
  /** What is not as it must be: one line each. Empty: the restore is right. */
  readonly differences: readonly string[];
  readonly segments: number;
  readonly segmentBytes: number;
  /** Transaction of the restored snapshot; null: restored from the log alone. */
  readonly snapshotTx: bigint | null;
  readonly snapshotFiles: number;
  readonly snapshotBytes: number;
}

/**
 * @param source what must be found: the newest snapshot that the log reaches, and every segment from the one that holds
 *   its commit on
 */
export async function compareRestored(source: RecordedDatabase, directory: string): Promise<Comparison> {
  const restored = await readDatabase(directory);
  const last = lastTxOf(source);
  const snapshot = source.snapshots.findLast(({ tx }) => tx <= last) ?? null;
  const segments = source.segments.filter(
    ({ commits }, index) => commits.length > 0 && (snapshot === null || endOf(source, index) >= snapshot.tx),
  );
  const expected = new Map<string, Buffer>();
  for (const { name, bytes } of segments) expected.set(`clog/${name}`, bytes);
  for (const [path, bytes] of snapshot?.files ?? []) {
    expected.set(`snapshots/${snapshotName(snapshot?.tx ?? 0n)}/${path}`, bytes);
  }
  const found = await readTree(directory);
  const differences: string[] = [];
  for (const [path, bytes] of expected) {
    const actual = found.get(path);
    if (actual === undefined) differences.push(`${path} is missing`);
    else if (!actual.equals(bytes)) differences.push(describe(path, actual, bytes));
  }
  for (const path of found.keys()) {
    if (!expected.has(path) && !isIndexOf(path, expected)) differences.push(`${path} should not be there`);
  }
  for (const { name, bytes } of segments) {
    // The engine cannot read a segment of version 0 by an index.
    const wanted = bytes[SEGMENT_VERSION_OFFSET] !== 0;
    const has = found.has(`clog/${name.replace(/log$/, 'ofs')}`);
    if (has !== wanted) differences.push(`clog/${name} has ${has ? 'an' : 'no'} offset index`);
  }
  if (lastTxOf(restored) !== last) differences.push(`ends at ${lastTxOf(restored)}, not ${last}`);
  return {
    differences,
    segments: segments.length,
    segmentBytes: total(segments.map(({ bytes }) => bytes)),
    snapshotTx: snapshot?.tx ?? null,
    snapshotFiles: snapshot?.files.size ?? 0,
    snapshotBytes: total([...(snapshot?.files.values() ?? [])]),
  };
}

const endOf = ({ segments }: RecordedDatabase, index: number): bigint => segments[index]?.commits.at(-1)?.lastTx ?? -1n;

const snapshotName = (tx: bigint): string => `${tx.toString().padStart(20, '0')}.snapshot_dir`;

const total = (buffers: readonly Buffer[]): number => buffers.reduce((sum, { byteLength }) => sum + byteLength, 0);

const isIndexOf = (path: string, expected: ReadonlyMap<string, Buffer>): boolean =>
  path.endsWith('.stdb.ofs') && expected.has(path.replace(/ofs$/, 'log'));

function describe(path: string, actual: Buffer, bytes: Buffer): string {
  if (plainBytes(actual).equals(bytes)) return `${path} is compressed`;
  const at = bytes.findIndex((byte, index) => actual[index] !== byte);
  const where = at < 0 ? 'goes on after its end' : `differs at byte ${at}`;
  return `${path} ${where} (${actual.byteLength} bytes, expected ${bytes.byteLength})`;
}
