/**
 * Leads a standby over log that is gone or damaged: a newer snapshot of its own line, and the log from that snapshot's
 * commit on, are restored beside and put in. The engine opens a log with a gap where a snapshot behind the gap verifies,
 * and refuses it where none does; so the snapshot comes first, then the log, and the older log goes last. A kill at any
 * moment leaves a directory that opens, and the next start finishes (`finishBridge`).
 */
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ByteBudget } from '../../core/byte-budget.ts';
import { fsyncDirectory, TEMPORARY_PREFIX } from '../../core/atomic-file.ts';
import {
  CorruptionError,
  localFileError,
  ReplicateError,
  systemCode,
  UnrecoverablePointError,
} from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { Position, TxOffset } from '../../core/types.ts';
import type { ReplicaClient } from '../../replica/replica-client.ts';
import {
  CLOG_DIR,
  parseOffsetIndexName,
  parseSegmentName,
  parseSnapshotDirName,
  SNAPSHOTS_DIR,
} from '../../spacetimedb/file-names.ts';
import { DatabaseRestore } from '../database-restore.ts';
import { checkFreeSpace } from '../free-space.ts';
import { ownDirectories } from '../ownership.ts';
import type { RestorePlan, StoreView } from '../plan-types.ts';
import { ProgressMeter } from '../progress-meter.ts';
import { realTargetSystem } from '../target-system.ts';
import { readStandbyPosition, type StandbyPosition, writeStandbyPosition } from './standby-position.ts';
import type { StandbySystem } from './standby-system.ts';

export interface BridgeOptions {
  readonly client: ReplicaClient;
  readonly budget: ByteBudget;
  readonly parallelism: number;
  readonly log: Log;
  readonly directory: string;
  readonly own: StandbySystem;
  /** Where the standby stands; with a generation where it is proven to be on that one's line. */
  readonly position: Position & Partial<StandbyPosition>;
  readonly view: StoreView;
  readonly signal: AbortSignal;
}

const STAGE = `${TEMPORARY_PREFIX}bridge`;

/**
 * False where no snapshot of the standby's line leads over it.
 *
 * @throws LocalFileError, also where there is no space for what is put in beside what is there; what the client throws
 */
export async function bridgeGap(options: BridgeOptions): Promise<boolean> {
  const { directory, own, position, log, view } = options;
  const database = new DatabaseRestore({
    fetch: options,
    progress: new ProgressMeter(undefined),
    log,
  });
  const plan = await planOver(database, view);
  if (plan === null || !leadsOver(plan, position)) return false;
  const stage = join(directory, STAGE);
  await rm(stage, { recursive: true, force: true });
  // A standby whose disk is full could not even be opened by a server: it stays as it is instead.
  await checkFreeSpace({
    system: own.system,
    target: { disk: directory, leftovers: [] },
    bytesNeeded: plan.plainBytesMin,
  });
  // Another plan than the first one may have been followed in the end, from another snapshot.
  let followed = plan;
  try {
    await database.follow(async (now) => {
      await rm(stage, { recursive: true, force: true });
      await mkdir(stage);
      followed = now;
      await database.write(now, { directory: stage, system: own.system });
    });
    await ownDirectories(stage, own.ownership, realTargetSystem);
  } catch (error) {
    await rm(stage, { recursive: true, force: true });
    if (error instanceof ReplicateError || systemCode(error) === null) throw error;
    throw localFileError('restore into', stage, error);
  }
  const [segment] = await segmentsIn(join(stage, CLOG_DIR));
  const snapshot = followed.snapshot?.tx;
  const isOver = leadsOver(followed, position) && segment !== undefined && segment > position.tx;
  if (!isOver || snapshot === undefined) {
    await rm(stage, { recursive: true, force: true });
    return false;
  }
  const { time, generation = null } = position;
  const noted = { tx: position.tx, crc: position.crc, time: time ?? plan.target.time, generation, segment: null };
  await writeStandbyPosition({ ...noted, bridge: { snapshot, segment } }, { directory, system: own.system });
  await putIn(stage, directory);
  log.warn('the log does not lead on: a newer snapshot was put in, and older commits go', {
    tx: position.tx,
    snapshot,
    url: options.client.url,
  });
  return true;
}

/** Null where the store leads nowhere. */
async function planOver(database: DatabaseRestore, view: StoreView): Promise<RestorePlan | null> {
  try {
    return await database.plan(view);
  } catch (error) {
    if (error instanceof CorruptionError || error instanceof UnrecoverablePointError) return null;
    throw error;
  }
}

/** Only a snapshot of the history that the standby holds, and behind its end. */
function leadsOver({ snapshot, line }: RestorePlan, { tx, generation }: BridgeOptions['position']): boolean {
  const own = line.find((part) => part.generation === generation);
  const isOnLine = own !== undefined && (own.until === null || tx <= own.until.tx);
  return snapshot !== null && snapshot.tx > tx && isOnLine;
}

async function putIn(stage: string, directory: string): Promise<void> {
  try {
    for (const place of [SNAPSHOTS_DIR, CLOG_DIR]) {
      // Ascending; an index sorts behind its segment, and without one a server makes it.
      for (const name of (await readdir(join(stage, place))).sort()) {
        await rename(join(stage, place, name), join(directory, place, name));
        await fsyncDirectory(join(directory, place));
      }
    }
  } catch (error) {
    throw localFileError('put a snapshot in', directory, error);
  }
}

/**
 * Finishes what was begun, or takes it back; gives the position that the standby had noted.
 *
 * @throws LocalFileError, CorruptionError
 */
export async function finishBridge(directory: string, { system }: StandbySystem): Promise<StandbyPosition | null> {
  const noted = await readStandbyPosition(directory);
  if (noted?.bridge === undefined) return noted;
  const { bridge, ...position } = noted;
  const clogDir = join(directory, CLOG_DIR);
  try {
    const isIn = (await segmentsIn(clogDir)).includes(bridge.segment);
    if (isIn) {
      await removeFrom(clogDir, (name) =>
        isBelow(parseSegmentName(name) ?? parseOffsetIndexName(name), bridge.segment),
      );
      await removeFrom(join(directory, SNAPSHOTS_DIR), (name) => isBelow(parseSnapshotDirName(name), bridge.segment));
    } else {
      await removeFrom(join(directory, SNAPSHOTS_DIR), (name) => parseSnapshotDirName(name) === bridge.snapshot);
    }
    await rm(join(directory, STAGE), { recursive: true, force: true });
  } catch (error) {
    if (error instanceof ReplicateError) throw error;
    throw localFileError('clear', directory, error);
  }
  await writeStandbyPosition(position, { directory, system });
  return position;
}

const isBelow = (tx: TxOffset | null, limit: TxOffset): boolean => tx !== null && tx < limit;

async function removeFrom(directory: string, isWanted: (name: string) => boolean): Promise<void> {
  for (const name of await readdir(directory)) {
    if (isWanted(name)) await rm(join(directory, name), { recursive: true });
  }
  await fsyncDirectory(directory);
}

/** Ascending. */
async function segmentsIn(clogDir: string): Promise<readonly TxOffset[]> {
  const found = (await readdir(clogDir)).flatMap((name) => parseSegmentName(name) ?? []);
  return found.sort((a, b) => (a < b ? -1 : 1));
}
