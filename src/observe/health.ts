/** Whether the service is fit, from what the engines say of themselves. Pure. */
import type { DatabaseStatus } from '../core/status.ts';

/** A lag above this is worth a word; it makes nothing unready, because a restart would not shorten it. */
export const LAG_DEGRADED_SECONDS = 60;

export type Fitness = 'ok' | 'waiting' | 'starting' | 'degraded' | 'stopped';

export interface DatabaseHealth {
  readonly database: string;
  readonly destination: string;
  readonly health: Fitness;
  /** Why it is not ok; null where it is. */
  readonly reason: string | null;
}

export interface Health {
  /** What `/readyz` answers: 200 or 503. */
  readonly ready: boolean;
  /** The worst of the databases. */
  readonly health: Fitness;
  readonly databases: readonly DatabaseHealth[];
}

/** From best to worst. */
const ORDER: readonly Fitness[] = ['ok', 'waiting', 'degraded', 'starting', 'stopped'];

const errorText = ({ lastError }: DatabaseStatus): string =>
  lastError ? `${lastError.code}: ${lastError.message}` : 'no error was told';

function judge(status: DatabaseStatus): Pick<DatabaseHealth, 'health' | 'reason'> {
  const { state, storeAnswered, lastError, lastSuccess, lagSeconds } = status;
  if (state === 'stopped') return { health: 'stopped', reason: errorText(status) };
  if (state === 'waiting') return { health: 'waiting', reason: 'the database has no commit log yet' };
  if (!storeAnswered) {
    const why = lastError ? ` (${errorText(status)})` : '';
    return { health: 'starting', reason: `the destination has not answered yet${why}` };
  }
  if (lastError && (lastSuccess === null || lastError.at > lastSuccess)) {
    return { health: 'degraded', reason: errorText(status) };
  }
  if (lagSeconds > LAG_DEGRADED_SECONDS) {
    return { health: 'degraded', reason: `${Math.round(lagSeconds)} s of commits are not stored yet` };
  }
  return { health: 'ok', reason: null };
}

/** Without any database the service is still starting. */
export function judgeHealth(statuses: readonly DatabaseStatus[]): Health {
  const databases = statuses.map((status) => ({
    database: status.database,
    destination: status.destination,
    ...judge(status),
  }));
  const worst = Math.max(...databases.map(({ health }) => ORDER.indexOf(health)), databases.length === 0 ? 3 : 0);
  const health = ORDER[worst] ?? 'starting';
  return { ready: health !== 'starting' && health !== 'stopped', health, databases };
}
