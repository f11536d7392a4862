/** Follows one plan into a staging directory. */
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fsyncDirectory } from '../core/atomic-file.ts';
import { CorruptionError, localFileError, UnsupportedFormatError } from '../core/errors.ts';
import type { LogObject } from '../layout/keys.ts';
import { ObjectNotFoundError } from '../replica/replica-client.ts';
import { CLOG_DIR, formatSnapshotDirName, SNAPSHOTS_DIR } from '../spacetimedb/file-names.ts';
import type { FetchOptions } from './fetch-parts.ts';
import type { RestorePlan } from './plan-types.ts';
import type { ProgressMeter } from './progress-meter.ts';
import { SnapshotMismatchError } from './snapshot-commit.ts';
import type { TargetSystem } from './target-system.ts';
import { inTwoLanes } from './two-lanes.ts';
import type { WrittenLog } from './log-writer.ts';
import { writeLog } from './write-log.ts';
import { type WrittenSnapshot, writeSnapshot } from './write-snapshot.ts';

/** An object of the plan is damaged or gone: another plan may do without it. */
export class UnusableObject extends Error {
  readonly key: string;
  readonly reason: Error;

  constructor(key: string, reason: Error) {
    super(reason.message, { cause: reason });
    this.key = key;
    this.reason = reason;
  }
}

export interface FollowPlanOptions {
  /** An existing directory; empty, or with `goesOn` of an earlier attempt at the same line. */
  readonly directory: string;
  readonly system: TargetSystem;
  readonly fetch: FetchOptions;
  readonly partBytes: number;
  readonly progress: ProgressMeter;
  /** Use what is there of an earlier attempt, as far as it is proven anew, and remove the rest of it. */
  readonly goesOn?: boolean;
}

export interface FollowedPlan extends WrittenLog {
  /** Of the log and the snapshot. */
  readonly plainBytes: number;
}

/** @throws UnusableObject; UnrecoverablePointError, LocalFileError and what the store's client throws */
export async function followPlan(plan: RestorePlan, options: FollowPlanOptions): Promise<FollowedPlan> {
  const { directory, progress } = options;
  const clogDir = await makeIn(directory, CLOG_DIR, options);
  const snapshotsDir = await makeIn(directory, SNAPSHOTS_DIR, options);
  const [snapshot, log] = await inTwoLanes(
    options.fetch,
    [
      (fetch) => followSnapshot(plan, { ...options, fetch, snapshotsDir }),
      (fetch) => followLog(plan, { ...options, fetch, clogDir }),
    ],
    { isFirstOfUse: isWithoutLogObject },
  );
  progress.enter('sync');
  for (const made of [clogDir, snapshotsDir, directory]) await fsyncDirectory(made);
  return {
    ...log,
    plainBytes: log.plainBytes + snapshot.plainBytes,
    reusedBytes: log.reusedBytes + snapshot.reusedBytes,
  };
}

/** A log object that is damaged or gone says nothing of the snapshot: the next plan is likely to begin with it again. */
const isWithoutLogObject = (error: unknown): boolean =>
  error instanceof UnusableObject && !(error.reason instanceof SnapshotMismatchError);

async function makeIn(directory: string, name: string, { goesOn = false }: FollowPlanOptions): Promise<string> {
  const path = join(directory, name);
  try {
    await mkdir(path, { recursive: goesOn });
    return path;
  } catch (error) {
    throw localFileError('create', path, error);
  }
}

async function followSnapshot(
  { snapshot, databaseIdentity }: RestorePlan,
  { snapshotsDir, ...options }: FollowPlanOptions & { readonly snapshotsDir: string },
): Promise<WrittenSnapshot> {
  const { fetch, progress, goesOn = false } = options;
  if (goesOn) await removeOthers(snapshotsDir, snapshot && formatSnapshotDirName(snapshot.tx));
  if (snapshot === null) return { plainBytes: 0, reusedBytes: 0 };
  try {
    const written = await writeSnapshot({
      ...options,
      fetch: { ...fetch, onFetched: (bytes) => (progress.fetchedBytes += bytes) },
      snapshot,
      databaseIdentity,
      snapshotsDir,
      onObject: (bytes) => progress.add({ bytes, objects: 1 }),
    });
    progress.add({ bytes: snapshot.manifestBytes });
    return written;
  } catch (error) {
    // Whatever of it is bad, it is this snapshot that cannot be used.
    if (isUnusable(error)) throw new UnusableObject(snapshot.manifestKey, error);
    throw error;
  }
}

/** Of an earlier plan: snapshots that this one does without. */
async function removeOthers(snapshotsDir: string, kept: string | null): Promise<void> {
  try {
    for (const name of await readdir(snapshotsDir)) {
      if (name !== kept) await rm(join(snapshotsDir, name), { recursive: true, force: true });
    }
  } catch (error) {
    throw localFileError('clear', snapshotsDir, error);
  }
}

async function followLog(
  plan: RestorePlan,
  { clogDir, ...options }: FollowPlanOptions & { readonly clogDir: string },
): Promise<WrittenLog> {
  const { fetch, progress, goesOn = false } = options;
  const onReused = ({ size }: LogObject): void => progress.add({ bytes: size, objects: 1 });
  try {
    return await writeLog({
      ...options,
      ...(goesOn ? { onReused } : {}),
      fetch: {
        ...fetch,
        onFetched: (bytes) => {
          progress.fetchedBytes += bytes;
          progress.add({ bytes });
        },
      },
      segments: plan.segments,
      timeBefore: plan.timeBefore,
      snapshotCommit: plan.snapshot?.commit ?? null,
      commitFromManifest: plan.commitFromManifest,
      clogDir,
      onObject: () => progress.add({ objects: 1 }),
    });
  } catch (error) {
    if (error instanceof SnapshotMismatchError && plan.snapshot) {
      throw new UnusableObject(plan.snapshot.manifestKey, error);
    }
    const key = isUnusable(error) ? error.facts['key'] : undefined;
    const isPlanned = plan.segments.some(({ pieces }) => pieces.some(({ object }) => object.key === key));
    if (isUnusable(error) && typeof key === 'string' && isPlanned) throw new UnusableObject(key, error);
    throw error;
  }
}

/** What another copy of the same commits, or another snapshot, may make good. */
export const isUnusable = (error: unknown): error is CorruptionError | ObjectNotFoundError | UnsupportedFormatError =>
  error instanceof CorruptionError || error instanceof ObjectNotFoundError || error instanceof UnsupportedFormatError;
