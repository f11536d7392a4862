/** What is missing of a line's log, and whether it is of what somebody asked for. */
import { CorruptionError } from '../core/errors.ts';
import type { Micros, TxOffset } from '../core/types.ts';
import type { GenerationName } from '../layout/keys.ts';
import type { FetchOptions } from '../restore/fetch-parts.ts';
import { isUnusable } from '../restore/follow-plan.ts';
import type { LineRun } from '../restore/line-runs.ts';
import { readManifestHeader } from '../restore/read-snapshot.ts';
import type { LogQuery } from './logged-commit.ts';

/** Between two runs, or at an end of the line. */
export interface LogHole {
  readonly after: LineRun | null;
  readonly before: LineRun | null;
}

/** @param known transactions that are known to have been stored: those in no run lie in a hole */
export function* findHoles(runs: readonly LineRun[], known: readonly TxOffset[]): Generator<LogHole, void, void> {
  let after: LineRun | null = null;
  for (const run of runs) {
    if (after !== null && run.first > after.last + 1n) yield { after, before: run };
    after = run;
  }
  for (const tx of known) {
    if (runs.some(({ first, last }) => first <= tx && tx <= last)) continue;
    const before = runs.find(({ first }) => first > tx) ?? null;
    yield { after: runs.findLast(({ last }) => last < tx) ?? null, before };
  }
}

/**
 * As far as it is known when the hole's commits were made: not before its end, not after its beginning.
 *
 * @throws what the client throws
 */
export async function isOutsideOfTimes(
  { after, before }: LogHole,
  { query: { from, to }, fetch }: { readonly query: LogQuery; readonly fetch: FetchOptions },
): Promise<boolean> {
  if (to?.kind === 'time' && after?.end && after.end.time > to.time) return true;
  if (from?.kind !== 'time' || before === null) return false;
  const [begin] = before.steps;
  return (begin !== undefined && begin.object.time < from.time) || (await beganBefore(before, from.time, { fetch }));
}

/** Whether the snapshot that a run begins with is of an earlier time. */
async function beganBefore(
  { snapshot }: LineRun,
  time: Micros,
  { fetch }: { readonly fetch: FetchOptions },
): Promise<boolean> {
  if (snapshot === null) return false;
  const { generation, tx, key, size } = snapshot;
  try {
    return (await readManifestHeader({ generation, tx, manifestKey: key, manifestBytes: size }, fetch)).time < time;
  } catch (error) {
    // Then it is not known, and what may be missing is told.
    if (!isUnusable(error)) throw error;
    return false;
  }
}

export function holeError({ after, before }: LogHole, generation: GenerationName): CorruptionError {
  const place =
    after !== null && before !== null
      ? ` between transactions ${after.last} and ${before.first}`
      : after !== null
        ? ` behind transaction ${after.last}`
        : before !== null
          ? ` before transaction ${before.first}`
          : '';
  return new CorruptionError(`the log of generation ${generation} is missing or damaged${place}`, {
    hint: '`stdb-replicate points` shows what can be restored.',
    facts: { generation },
  });
}
