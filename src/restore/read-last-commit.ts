/** The last commit of a log object, found from its end by the seek table. */
import type { ByteBudget } from '../core/byte-budget.ts';
import { micros, txOffset } from '../core/types.ts';
import type { LogObject } from '../layout/keys.ts';
import {
  decodeLogFrame,
  LOG_OBJECT_TAIL_BYTES,
  type LogFramePlace,
  type LogObjectIndex,
  readLogObjectIndex,
} from '../layout/log-object.ts';
import type { LineStep } from '../layout/walk-line.ts';
import { decodeCommitHeader } from '../spacetimedb/commit.ts';
import { type CommitFacts, CommitScanner } from '../spacetimedb/commit-scanner.ts';
import { decodeSegmentHeader, type LogVersion, SEGMENT_HEADER_BYTES } from '../spacetimedb/segment-header.ts';
import { type FetchOptions, fetchParts } from './fetch-parts.ts';
import type { PointCommit } from './point-request.ts';
import { pointCommit, scanObject } from './scan-object.ts';

/** Up to this size one request for all of it costs less than three for parts. */
const WHOLE_BYTES_MAX = 1024 * 1024;
/** A last commit that is longer is found from the object's beginning, in constant memory. */
const COMMIT_BYTES_MAX = 2 * 1024 * 1024;

/**
 * Up to the step's cut, where it has one.
 *
 * @throws CorruptionError with the object's key in its facts; ObjectNotFoundError, and what the client throws
 */
export async function readLastCommit(
  step: Pick<LineStep, 'object' | 'cut'>,
  fetch: FetchOptions,
): Promise<PointCommit> {
  if (step.cut === null && step.object.size > WHOLE_BYTES_MAX) {
    const found = await findFromEnd(step.object, fetch);
    if (found !== null) return found;
  }
  let last: PointCommit | null = null;
  const visit = (facts: CommitFacts): boolean => {
    last = pointCommit(facts);
    return false;
  };
  await scanObject(step, { fetch, timeBefore: micros(0n), visit });
  if (last === null) throw new TypeError('an object that was read to its end holds a commit');
  return last;
}

/** Null where the last commit does not begin in one of the last few frames. */
async function findFromEnd(object: LogObject, fetch: FetchOptions): Promise<PointCommit | null> {
  const { frames } = await readIndex(object, fetch);
  const [begin] = frames;
  if (begin === undefined) return null;
  const { version } = decodeSegmentHeader(await readFrame(object, begin, fetch), { path: object.key });
  let tail: Uint8Array = new Uint8Array(0);
  for (const place of frames.toReversed()) {
    if (tail.byteLength + place.plainBytes > COMMIT_BYTES_MAX) return null;
    tail = Buffer.concat([await readFrame(object, place, fetch), tail]);
    const last = lastOf(place === begin ? tail.subarray(SEGMENT_HEADER_BYTES) : tail, { object, version });
    if (last !== null) return last;
  }
  return null;
}

/** Null unless whole commits from the start of `bytes` lead to the end that the object's name tells. */
function lastOf(
  bytes: Uint8Array,
  { object, version }: { readonly object: LogObject; readonly version: LogVersion },
): PointCommit | null {
  const header = decodeCommitHeader(bytes, version);
  if (header === null || header.tx < object.first || header.tx > object.last) return null;
  let last: PointCommit | null = null;
  const onCommit = (facts: CommitFacts): void => void (last = pointCommit(facts));
  const scanner = new CommitScanner({ version, expectedTx: txOffset(header.tx), onCommit });
  scanner.push(bytes);
  const isWhole = scanner.problem === null && scanner.pendingBytes === 0;
  return isWhole && scanner.lastTx === object.last && scanner.lastCrc === object.crc ? last : null;
}

/** Where the object's frames are. @throws CorruptionError; ObjectNotFoundError, and what the client throws */
export async function readIndex(
  object: LogObject,
  fetch: FetchOptions,
): Promise<Exclude<LogObjectIndex, { need: number }>> {
  for (let bytes = Math.min(object.size, LOG_OBJECT_TAIL_BYTES); ; ) {
    const index = await readRange(object, { start: object.size - bytes, endExclusive: object.size }, fetch, (tail) =>
      readLogObjectIndex(tail, object),
    );
    if (!('need' in index)) return index;
    bytes = index.need;
  }
}

/** The plain bytes of one frame. @throws as `readIndex` */
export const readFrame = (object: LogObject, place: LogFramePlace, fetch: FetchOptions): Promise<Uint8Array> =>
  readRange(object, { start: place.at, endExclusive: place.at + place.bytes }, fetch, (frame) =>
    decodeLogFrame(frame, place, object),
  );

/** `use` may hold as many bytes as COMMIT_BYTES_MAX beside the range: both are taken from the budget. */
async function readRange<T>(
  { key, size }: LogObject,
  range: { readonly start: number; readonly endExclusive: number },
  fetch: FetchOptions,
  use: (bytes: Uint8Array) => Promise<T>,
): Promise<T> {
  const part = { key, objectBytes: size, ...range, extraBytes: extraBytes(fetch.budget) };
  for await (using fetched of fetchParts([part], fetch)) return await use(fetched.bytes);
  throw new TypeError('fetching one part yields one part');
}

const extraBytes = ({ bytesMax }: ByteBudget): number => Math.min(COMMIT_BYTES_MAX, Math.floor(bytesMax / 2));
