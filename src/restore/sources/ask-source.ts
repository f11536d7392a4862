/** What one destination says of its default line, and of one commit in it. Nothing is written. */
import { CorruptionError } from '../../core/errors.ts';
import { silentLog } from '../../core/log.ts';
import type { Position } from '../../core/types.ts';
import type { LogObject } from '../../layout/keys.ts';
import { chooseGeneration, lineOf } from '../../layout/line.ts';
import { decodeLogObject } from '../../layout/log-object.ts';
import { walkLine } from '../../layout/walk-line.ts';
import { CommitScanner } from '../../spacetimedb/commit-scanner.ts';
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES } from '../../spacetimedb/segment-header.ts';
import { DatabaseRestore } from '../database-restore.ts';
import { type FetchOptions, fetchParts } from '../fetch-parts.ts';
import { partBytesFor, partCount, PartStream, partsOf } from '../part-stream.ts';
import type { RestorePlan } from '../plan-types.ts';
import { ProgressMeter } from '../progress-meter.ts';
import { readStore } from '../read-store.ts';
import type { SourceLine, Verdict } from './choose-source.ts';

/** @throws NoBackupError, UnrecoverablePointError, CorruptionError, and what the client throws */
export async function askDatabase(fetch: FetchOptions): Promise<SourceLine> {
  // What it would warn of is said when it is restored.
  const progress = new ProgressMeter(undefined);
  return lineOfPlan(await new DatabaseRestore({ fetch, progress, log: silentLog }).plan());
}

export function lineOfPlan({ target, segments, snapshot }: RestorePlan): SourceLine {
  const ends = segments.flatMap(({ pieces }) => pieces.map(({ object, cut }) => cut ?? lastOf(object)));
  const own = snapshot?.commit?.position;
  return { end: target, known: [...(own === undefined ? [] : [own]), ...ends, target] };
}

const lastOf = ({ last, crc }: LogObject): Position => ({ tx: last, crc });

/**
 * Whether the destination's default line holds `wanted`, which lies before the line's end. One object is read where the
 * names do not tell.
 *
 * @throws CorruptionError where that object is damaged; what the client throws
 */
export async function judgeCommit(wanted: Position, fetch: FetchOptions): Promise<Verdict> {
  const { head, documents, listing } = await readStore({ ...fetch, log: silentLog });
  const generation = chooseGeneration(head, listing.generations);
  if (generation === null) return 'beyond';
  const line = lineOf(generation, documents);
  const [step] = walkLine(line, { documents, objects: listing.logObjects, from: wanted.tx }).steps;
  if (step === undefined || step.object.first > wanted.tx) return 'beyond';
  const end = step.cut ?? lastOf(step.object);
  const crc = end.tx === wanted.tx ? end.crc : await readCrcAt(step.object, wanted, fetch);
  return crc === wanted.crc ? 'same' : 'other';
}

/**
 * The checksum of the commit that ends at `tx`; null where the object's commits are good up to there and none ends there.
 *
 * @throws CorruptionError where a bad commit, or the object's early end, keeps that from being known
 */
async function readCrcAt(object: LogObject, { tx }: Position, fetch: FetchOptions): Promise<number | null> {
  const partBytes = partBytesFor(fetch.budget.bytesMax);
  await using stream = new PartStream(fetchParts(partsOf(object, partBytes), fetch));
  let scanner: CommitScanner | null = null;
  let crc: number | null = null;
  const body = stream.next(partCount(object, partBytes));
  for await (const frame of decodeLogObject(body, object)) {
    let bytes = frame;
    if (scanner === null) {
      const { version } = decodeSegmentHeader(bytes, { path: object.key });
      bytes = bytes.subarray(SEGMENT_HEADER_BYTES);
      scanner = new CommitScanner({
        version,
        expectedTx: object.first,
        onCommit: (facts) => {
          if (facts.lastTx === tx) crc = facts.crc;
        },
      });
    }
    scanner.push(bytes);
    if (scanner.problem !== null || (scanner.lastTx ?? -1n) >= tx) break;
  }
  if ((scanner?.lastTx ?? -1n) < tx) {
    throw new CorruptionError(
      `${object.key} has no whole commit after transaction ${(scanner?.nextTx ?? object.first) - 1n}`,
      {
        hint: 'Restore this object from a copy of the backup, or name another destination.',
        facts: { url: fetch.client.url, key: object.key, tx: scanner?.nextTx ?? object.first },
      },
    );
  }
  return crc;
}
