/** A replica directory's log as plain bytes and commits, for tests that need to know what is right. */
import { join } from 'node:path';
import { diskFiles } from '../../src/core/readable-files.ts';
import {
  byteOffset,
  type Crc32c,
  crc32cValue,
  type Micros,
  micros,
  type TxOffset,
  txOffset,
} from '../../src/core/types.ts';
import { CommitScanner, type CommitFacts } from '../../src/spacetimedb/commit-scanner.ts';
import { CLOG_DIR } from '../../src/spacetimedb/file-names.ts';
import { SEGMENT_HEADER_BYTES } from '../../src/spacetimedb/segment-header.ts';
import { openSegment, SEGMENT_READ_BYTES_MAX, type SegmentReader } from '../../src/spacetimedb/segment-reader.ts';
import { listSegments } from '../../src/spacetimedb/segments.ts';

export interface RecordedCommit {
  /** The name of its segment. */
  readonly segment: TxOffset;
  readonly header: Uint8Array;
  readonly bytes: Uint8Array;
  readonly first: TxOffset;
  readonly last: TxOffset;
  /** Of the commit before; 0 for the first one. */
  readonly prev: Crc32c;
  readonly crc: Crc32c;
  /** The log's time: never falling. */
  readonly time: Micros;
}

/** Every whole, checked commit up to the first that is not the continuation of the one before. */
export async function readRecordedLog(replicaDir: string): Promise<RecordedCommit[]> {
  const commits: RecordedCommit[] = [];
  let time = micros(0n);
  for (const entry of await listSegments(diskFiles, join(replicaDir, CLOG_DIR))) {
    await using segment = await openSegment(diskFiles, entry);
    if (segment?.header === null || segment?.version === null || segment === null) continue;
    const before = commits.at(-1);
    if (before && before.last + 1n !== entry.tx) break;
    const header = Uint8Array.from(segment.header);
    const plain = await readPlain(segment);
    const scanner: CommitScanner = new CommitScanner({
      version: segment.version,
      expectedTx: entry.tx,
      timeBefore: time,
      onCommit: (facts: CommitFacts) => {
        const prev = commits.at(-1)?.crc ?? crc32cValue(0);
        const bytes = plain.subarray(facts.start, facts.end);
        const last = txOffset(facts.tx + BigInt(facts.count) - 1n);
        commits.push({
          segment: entry.tx,
          header,
          bytes,
          first: facts.tx,
          last,
          prev,
          crc: facts.crc,
          time: scanner.time,
        });
      },
    });
    scanner.push(plain.subarray(SEGMENT_HEADER_BYTES));
    time = scanner.time;
  }
  return commits;
}

async function readPlain(segment: SegmentReader): Promise<Uint8Array> {
  const plain = new Uint8Array(await segment.plainBytes());
  for (let at = 0; at < plain.byteLength; ) {
    const some = await segment.read(byteOffset(at), Math.min(SEGMENT_READ_BYTES_MAX, plain.byteLength - at));
    plain.set(some, at);
    at += some.byteLength;
  }
  return plain;
}

/** The segments' logical bytes by file name offset: header and commits, from the first commit that is given. */
export function segmentBytes(commits: readonly RecordedCommit[]): Map<TxOffset, Uint8Array> {
  const parts = new Map<TxOffset, { first: TxOffset; bytes: Uint8Array[] }>();
  for (const { segment, header, bytes, first } of commits) {
    const part = parts.get(segment);
    if (part) part.bytes.push(bytes);
    else parts.set(segment, { first, bytes: [header, bytes] });
  }
  return new Map([...parts.values()].map(({ first, bytes }) => [first, Buffer.concat(bytes)]));
}
