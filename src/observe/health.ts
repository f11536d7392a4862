/** Whether the service is fit, from what the engines say of themselves. Pure. */
import type { DatabaseStatus, DrillStatus, ServerImageStatus, StandbyStatus } from '../core/status.ts';

/** A lag above this is worth a word; it makes nothing unready, because a restart would not shorten it. */
export const LAG_DEGRADED_SECONDS = 60;
/** The same for a server's own files, which are seldom urgent and may be written to for a while. */
export const IMAGE_LAG_DEGRADED_SECONDS = 300;

/** A standby that has heard nothing of its store for so long may be behind without knowing it. */
export const SILENT_DEGRADED_SECONDS = 60;

export type Fitness = 'ok' | 'waiting' | 'starting' | 'degraded' | 'stopped';

interface Judgement {
  readonly health: Fitness;
  /** Why it is not ok; null where it is. */
  readonly reason: string | null;
}

export interface DatabaseHealth extends Judgement {
  readonly database: string;
  readonly destination: string;
}

/** Of a server's own files. */
export interface ServerHealth extends Judgement {
  readonly dataDirectory: string;
  readonly destination: string;
}

export interface StandbyHealth extends Judgement {
  readonly directory: string;
  readonly destination: string;
}

/** Whether the last scheduled drill succeeded. */
export interface DrillHealth extends Judgement {
  readonly database: string;
  readonly destination: string;
}

export interface Health {
  /** What `/readyz` answers: 200 or 503. */
  readonly ready: boolean;
  /** The worst of all. */
  readonly health: Fitness;
  readonly databases: readonly DatabaseHealth[];
  readonly servers: readonly ServerHealth[];
  /** Absent where there is none. */
  readonly standbys?: readonly StandbyHealth[];
  /** Absent where none are scheduled. */
  readonly drills?: readonly DrillHealth[];
}

/** From best to worst. */
const ORDER: readonly Fitness[] = ['ok', 'waiting', 'degraded', 'starting', 'stopped'];

/** What databases and images have in common. */
type CommonStatus = Pick<DatabaseStatus, 'storeAnswered' | 'lastError' | 'lastSuccess'>;

const errorText = ({ lastError }: CommonStatus): string =>
  lastError ? `${lastError.code}: ${lastError.message}` : 'no error was told';

/** Null where nothing speaks against it. */
function judgeStore(status: CommonStatus): Judgement | null {
  const { storeAnswered, lastError, lastSuccess } = status;
  if (!storeAnswered) {
    const why = lastError ? ` (${errorText(status)})` : '';
    return { health: 'starting', reason: `the destination has not answered yet${why}` };
  }
  if (lastError && (lastSuccess === null || lastError.at > lastSuccess)) {
    return { health: 'degraded', reason: errorText(status) };
  }
  return null;
}

function judge(status: DatabaseStatus): Judgement {
  const { state, lagSeconds, damage, snapshotProblem = null, unrestorableFrom = null } = status;
  if (state === 'stopped') return { health: 'stopped', reason: errorText(status) };
  if (damage)
    return { health: 'degraded', reason: `${damage.file} is damaged at byte ${damage.byte}: ${damage.message}` };
  if (state === 'waiting') return { health: 'waiting', reason: 'the database has no commit log yet' };
  const store = judgeStore(status);
  if (store) return store;
  if (lagSeconds > LAG_DEGRADED_SECONDS) {
    return { health: 'degraded', reason: `${Math.round(lagSeconds)} s of commits are not stored yet` };
  }
  if (unrestorableFrom !== null) {
    const why = snapshotProblem === null ? '' : ` (${snapshotProblem})`;
    return {
      health: 'degraded',
      reason: `nothing of this generation can be restored before its first snapshot is stored: it begins at transaction ${unrestorableFrom}${why}`,
    };
  }
  if (snapshotProblem !== null) return { health: 'degraded', reason: snapshotProblem };
  return { health: 'ok', reason: null };
}

function judgeImages(status: ServerImageStatus): Judgement {
  const { state, pendingSeconds } = status;
  if (state === 'stopped') return { health: 'stopped', reason: errorText(status) };
  if (state === 'waiting') return { health: 'waiting', reason: 'no server has made its files there yet' };
  const store = judgeStore(status);
  if (store) return store;
  if (pendingSeconds > IMAGE_LAG_DEGRADED_SECONDS) {
    return { health: 'degraded', reason: `changes of ${Math.round(pendingSeconds)} s are in no image yet` };
  }
  return { health: 'ok', reason: null };
}

function judgeStandby(status: StandbyStatus): Judgement {
  const { state, storeAnswered, silentSeconds, lagSeconds, lastError } = status;
  if (state === 'stopped') {
    return { health: 'stopped', reason: lastError ? `${lastError.code}: ${lastError.message}` : 'it was ended' };
  }
  if (state === 'restoring') return { health: 'starting', reason: 'the directory is being restored' };
  if (!storeAnswered) return { health: 'starting', reason: 'the destination has not answered yet' };
  if (state === 'waiting') return { health: 'degraded', reason: 'the backup ends before the directory does' };
  if (silentSeconds > SILENT_DEGRADED_SECONDS) {
    return { health: 'degraded', reason: `the destination has not answered for ${Math.round(silentSeconds)} s` };
  }
  if (lagSeconds > LAG_DEGRADED_SECONDS) {
    return { health: 'degraded', reason: `${Math.round(lagSeconds)} s of stored commits are not applied yet` };
  }
  return { health: 'ok', reason: null };
}

/** What cannot be restored is still being stored: that is no reason to be unready. */
function judgeDrill({ lastFailure, lastSuccess }: DrillStatus): Judgement {
  if (lastFailure === null || (lastSuccess !== null && lastSuccess > lastFailure.at))
    return { health: 'ok', reason: null };
  return { health: 'degraded', reason: `the last drill failed: ${lastFailure.code}: ${lastFailure.message}` };
}

/** Without anything to judge the service is still starting. */
export function judgeHealth(
  statuses: readonly DatabaseStatus[],
  images: readonly ServerImageStatus[] = [],
  standing: readonly StandbyStatus[] = [],
  drilled: readonly DrillStatus[] = [],
): Health {
  const databases = statuses.map((status) => ({
    database: status.database,
    destination: status.destination,
    ...judge(status),
  }));
  const servers = images.map((status) => ({
    dataDirectory: status.dataDirectory,
    destination: status.destination,
    ...judgeImages(status),
  }));
  const standbys = standing.map((status) => ({
    directory: status.directory,
    destination: status.destination,
    ...judgeStandby(status),
  }));
  const drills = drilled.map((status) => ({
    database: status.database,
    destination: status.destination,
    ...judgeDrill(status),
  }));
  const all = [...databases, ...servers, ...standbys, ...drills];
  const worst = Math.max(...all.map(({ health }) => ORDER.indexOf(health)), all.length === 0 ? 3 : 0);
  const health = ORDER[worst] ?? 'starting';
  return {
    ready: health !== 'starting' && health !== 'stopped',
    health,
    databases,
    servers,
    ...(standbys.length === 0 ? {} : { standbys }),
    ...(drills.length === 0 ? {} : { drills }),
  };
}
