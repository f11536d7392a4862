/**
 * Of several destinations that hold one history, the furthest may not hold the asked point: its retention is shorter, or
 * objects there are damaged. Then another one is taken that does, aloud.
 *
 * Invariant: the answer is the one that the furthest would give if it held all that the others hold. So a time counts only
 * where the commit behind the point was seen, and a call only where nothing newer was stored elsewhere.
 */
import { CorruptionError, NoBackupError, UnrecoverablePointError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { ReplicaClient } from '../replica/replica-client.ts';
import type { PointRequest } from '../restore/point-request.ts';
import type { RestoreReport } from '../restore/restore-report.ts';
import type { SourceFacts } from '../restore/sources/choose-source.ts';
import { type Asked, ONE_DATABASE, type RankedDestinations } from './choose-destination.ts';

type FoundPoint = Pick<RestoreReport, 'point'>;

/** What must be known of a report, planned or done. */
export type FoundPoints =
  | (FoundPoint & { readonly kind: 'database' })
  | { readonly kind: 'server'; readonly replicas: readonly (FoundPoint & { readonly replicaId: bigint })[] };

export interface RestoreFromRankedOptions<Report extends FoundPoints> {
  readonly point?: PointRequest | undefined;
  readonly dryRun: boolean;
  readonly log: Log;
  readonly restore: (client: ReplicaClient, options: { readonly dryRun: boolean }) => Promise<Report>;
}

/** @throws what `restore` throws for the furthest; what it throws for another that can no longer be asked */
export async function restoreFromRanked<Report extends FoundPoints>(
  { furthest, others }: RankedDestinations,
  options: RestoreFromRankedOptions<Report>,
): Promise<Report> {
  const { point, dryRun, log, restore } = options;
  try {
    return await restore(furthest.client, { dryRun });
  } catch (error) {
    // Without a point the newest is meant, and which that is has been decided.
    if (point === undefined || !isWithoutPoint(error)) throw error;
    for (const other of others) {
      if (!(await holdsPoint(other, { ...options, point, furthest }))) continue;
      log.warn(
        `the destination that reaches furthest cannot be restored to that point: ${error.message}. Another one can, which ` +
          'holds the same history: restoring from there',
        { url: other.client.url, furthest: furthest.client.url },
      );
      return await restore(other.client, { dryRun });
    }
    throw error;
  }
}

async function holdsPoint<Report extends FoundPoints>(
  other: Asked,
  options: RestoreFromRankedOptions<Report> & { readonly point: PointRequest; readonly furthest: Asked },
): Promise<boolean> {
  const { point, furthest, log, restore } = options;
  const { url } = other.client;
  try {
    const planned = await restore(other.client, { dryRun: true });
    if (isExact(planned, point, { other: other.facts, furthest: furthest.facts })) return true;
    log.warn(`another destination ends before it is clear what that point is: it is not taken`, { url });
  } catch (error) {
    if (!isWithoutPoint(error)) throw error;
    log.warn(`nor can another destination be restored to that point: ${error.message}`, { url });
  }
  return false;
}

const isWithoutPoint = (error: unknown): error is Error =>
  error instanceof UnrecoverablePointError || error instanceof CorruptionError || error instanceof NoBackupError;

/** Whether a destination that ends earlier says the same as one that holds what comes behind it. */
function isExact(
  planned: FoundPoints,
  point: PointRequest,
  { other, furthest }: { readonly other: SourceFacts; readonly furthest: SourceFacts },
): boolean {
  if (planned.kind === 'database') return isExactPoint(planned, point, { database: ONE_DATABASE, other, furthest });
  return planned.replicas.every((replica) =>
    isExactPoint(replica, point, { database: `${replica.replicaId}`, other, furthest }),
  );
}

function isExactPoint(
  { point: found }: FoundPoint,
  { kind }: PointRequest,
  { database, other, furthest }: { database: string; other: SourceFacts; furthest: SourceFacts },
): boolean {
  if (kind === 'tx') return true;
  const [mine, its] = [other.databases.get(database)?.end, furthest.databases.get(database)?.end];
  if (mine !== undefined && mine.tx === its?.tx) return true;
  // The line's time never falls: behind a later commit there is none that is not later.
  return kind === 'timestamp' && found !== null && found.next !== null;
}
