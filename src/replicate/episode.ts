/**
 * One episode: from a head that was just taken to its release. It ends when told to, after one pass, or with an error;
 * in each case the head is handed over at the exact position where that is possible.
 */
import { type Bell, DirectoryBell } from '../capture/directory-bell.ts';
import type { LogSource } from '../capture/log-source.ts';
import { LogDamagedError } from '../capture/log-damage.ts';
import { LogTailer } from '../capture/log-tailer.ts';
import type { ByteBudget } from '../core/byte-budget.ts';
import type { Clock } from '../core/clock.ts';
import { errorMessage, FencedError, primaryError, UnsupportedFormatError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { HeadPosition } from '../layout/head-document.ts';
import type { ReplicaClient } from '../replica/replica-client.ts';
import { judgeEnd } from './episode-end.ts';
import { LogObjectCutter } from './log-object-cutter.ts';
import { LogUploader } from './log-uploader.ts';
import { isOfSource } from './one-snapshot.ts';
import { Pacer } from './pacer.ts';
import type { ReplicatorStatus } from './replicator-status.ts';
import { SnapshotTask } from './snapshot-task.ts';
import { SnapshotUploader } from './snapshot-uploader.ts';
import { StallWatch } from './stall-watch.ts';
import type { Started } from './take-head.ts';

/** How often a log that says nothing of itself is read to its end and beyond: what no event and no size has told. */
const IDLE_READ_MS = 300_000;
/** In one pass, how often a snapshot that changed while it was read is tried again. */
const ONCE_SNAPSHOT_TRIES = 3;

export interface EpisodeOptions {
  readonly client: ReplicaClient;
  readonly source: LogSource;
  readonly snapshotsDirectory: string;
  readonly intervalMs: number;
  readonly compressionLevel: number;
  readonly budget: ByteBudget;
  readonly steadyBudget?: ByteBudget;
  readonly clock: Clock;
  readonly log: Log;
  readonly once: boolean;
  readonly openBell?: (directories: readonly string[], options: { readonly log: Log }) => Bell;
  readonly status: ReplicatorStatus;
  /** Aborted by who asks for a last sync and the end. */
  readonly draining: AbortSignal;
}

const openDirectoryBell: NonNullable<EpisodeOptions['openBell']> = (directories, options) =>
  new DirectoryBell(directories, options);

/** @throws what ended it, where it was not told to end; FencedError wherever another writer has the head */
export async function runEpisode(
  started: Started,
  options: EpisodeOptions,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  const { lease, generation } = started;
  const { log } = options;
  const sender: { uploader: LogUploader | null } = { uploader: null };
  const stored = (): HeadPosition | null => sender.uploader?.stored ?? started.stored;
  let failure: Error | null;
  try {
    failure = await stream(started, options, { signal, sender });
  } catch (error) {
    // What was sent and not answered may still arrive: then nobody may go on in this generation.
    const isKnown = sender.uploader?.hasUnknown !== true;
    if (isKnown && !signal.aborted && judgeEnd(error) !== 'final') await handOver(started, stored(), { log, signal });
    throw error;
  }
  await lease.release(stored(), { signal });
  log.info('released', { generation: generation.generation, tx: stored()?.tx ?? null });
  // The log is safe and handed over, but not all was stored: the exit code must not say so.
  if (failure !== null) throw failure;
}

/** After a failure that does not speak of the store or the lease. A release that fails as well changes nothing. */
async function handOver(
  { lease, generation: { generation } }: Started,
  stored: HeadPosition | null,
  { log, signal }: { log: Log; signal: AbortSignal },
): Promise<void> {
  try {
    await lease.release(stored, { signal });
    log.info('released', { generation, tx: stored?.tx ?? null });
  } catch (failure) {
    if (primaryError(failure) instanceof FencedError || signal.aborted) throw failure;
    log.warn(`the head could not be released: ${errorMessage(failure)}`, { generation });
  }
}

interface Parts {
  readonly tailer: LogTailer;
  readonly pacer: Pacer;
  readonly uploader: LogUploader;
  readonly snapshots: SnapshotUploader;
  readonly stallWatch: StallWatch;
}

/** Gives why a snapshot could not be stored; null where all could be. */
async function stream(
  started: Started,
  options: EpisodeOptions,
  { signal, sender }: { signal: AbortSignal; sender: { uploader: LogUploader | null } },
): Promise<Error | null> {
  const { client, source, snapshotsDirectory, clock, log, budget, steadyBudget, compressionLevel, status } = options;
  const { intervalMs, openBell = openDirectoryBell, draining } = options;
  const { lease, generation, tail, stored, listedSnapshots, lineStart } = started;
  await using tailer = new LogTailer({ ...source, from: tail });
  await using bell = openBell([source.directory, snapshotsDirectory], { log });
  const pacer = new Pacer({
    clock,
    bell,
    intervalMs,
    hasGrown: () => tailer.hasGrown(),
    extent: () => tailer.extent(),
  });
  const wake = (): void => pacer.wake();
  draining.addEventListener('abort', wake, { once: true });
  using _ = { [Symbol.dispose]: () => draining.removeEventListener('abort', wake) };
  status.follow(() => tailer.position);
  const uploader = new LogUploader({
    client,
    lease,
    cutter: new LogObjectCutter({ tailer, generation: generation.generation, compressionLevel }),
    budget,
    steadyBudget,
    stored,
    availableBytes: () => tailer.bytesAhead(),
    lookAround: () => tailer.lookAround(),
    isInNewestSegment: () => tailer.isInNewestSegment,
    onStored: (object, position) => {
      status.storedObject(object, position);
      log.debug('stored', { key: object.key, commits: object.commits, bytes: object.bytes });
    },
  });
  sender.uploader = uploader;
  const snapshots = new SnapshotUploader({
    client,
    source,
    directory: snapshotsDirectory,
    generation,
    lineStart,
    listed: listedSnapshots,
    lease,
    budget,
    compressionLevel,
    log,
    stored: () => uploader.stored,
    timeUpTo: (tx) => status.timeUpTo(tx),
    onStored: (facts) => {
      status.storedSnapshot(facts.tx);
      log.info('snapshot stored', { ...facts });
    },
    onPack: (bytes) => status.storedPack(bytes),
    onNewest: (tx) => {
      status.newestSnapshot = tx;
    },
  });
  status.followSnapshots(() => snapshots.failure?.message ?? null);
  const stallWatch = new StallWatch({ source, log, once: options.once });
  await loop({ tailer, pacer, uploader, snapshots, stallWatch }, options, { signal });
  return snapshots.failure;
}

async function loop(parts: Parts, options: EpisodeOptions, { signal }: { signal: AbortSignal }): Promise<void> {
  const { tailer, pacer, snapshots } = parts;
  const { once, clock, draining } = options;
  const background = new SnapshotTask(snapshots, { signal, onFailure: () => pacer.wake() });
  const stop = background.signal;
  try {
    let found: Awaited<ReturnType<Pacer['wait']>> = 'due';
    let readAt = 0;
    while (!once && !draining.aborted) {
      // A log that ends in a whole commit and has not grown needs no reading; now and then it is read all the same.
      const atEnd = tailer.stall === null || tailer.stall.kind === 'end';
      if (found !== 'quiet' || !atEnd || clock.monotonic() - readAt >= IDLE_READ_MS) {
        await sync(parts, options, { signal: stop });
        readAt = clock.monotonic();
      }
      background.begin();
      found = await pacer.wait({ signal: stop });
    }
    await sync(parts, options, { signal: stop });
    await background.settled();
    for (let tries = 0; once && tries < ONCE_SNAPSHOT_TRIES; tries += 1) {
      if (!(await snapshots.upload({ signal: stop })).pending) break;
    }
  } catch (error) {
    if (isOfLog(error)) await storeReached(background, { log: options.log });
    throw error;
  } finally {
    await background.end();
  }
}

/** What keeps the log from being read on, and says nothing of the store. */
const isOfLog = (error: unknown): boolean => {
  const cause = primaryError(error);
  return cause instanceof LogDamagedError || cause instanceof UnsupportedFormatError || isOfSource(cause);
};

/**
 * The snapshot that the stored log reaches, before the episode ends: a log that starts above 0 is worth nothing without
 * it, and where the log stays as it is no other episode comes to it.
 */
async function storeReached(background: SnapshotTask, { log }: { log: Log }): Promise<void> {
  try {
    // A pass under way may have looked before the last commits were stored.
    await background.settled();
    background.begin();
    await background.settled();
  } catch (error) {
    if (primaryError(error) instanceof FencedError) throw error;
    log.warn(`no snapshot could be stored before the end: ${errorMessage(error)}`);
  }
}

/** Stores all that is there now. */
async function sync(
  { tailer, pacer, uploader, stallWatch }: Parts,
  { status, clock }: EpisodeOptions,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  status.unstoredSince ??= pacer.pendingSince ?? clock.monotonic();
  const objects = await uploader.upload({ signal });
  if (objects > 0) pacer.cut();
  const isBlocked = await stallWatch.judge(tailer, { readOn: () => uploader.upload({ signal }), signal });
  if (!isBlocked) status.caughtUp();
}
