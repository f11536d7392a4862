/** `restore -follow` */
import type { Config } from '../config/config.ts';
import { systemClock } from '../core/clock.ts';
import { EXIT, UsageError } from '../core/errors.ts';
import type { StandbyStatus } from '../core/status.ts';
import type { FollowCommandOptions } from '../daemon/follow-command.ts';
import type { UnfinishedRestore } from '../restore/unfinished.ts';
import { interruptible } from './interrupt.ts';
import { type Io, writeJson, writeText } from './io.ts';
import { parseDurationFlag } from './parse-flags.ts';
import { ProgressDisplay, type ProgressMode } from './progress.ts';
import { openSessionLog, type Session } from './session.ts';
import { formatUnfinished } from './unfinished-text.ts';

/** Those of `restore`. */
export interface FollowFlags {
  readonly follow?: true;
  readonly interval?: string;
  readonly json?: true;
}

export interface FollowFacts
  extends Pick<FollowCommandOptions, 'urls' | 'target' | 'replicaId' | 'ownership' | 'parallelism' | 'giveUpAfterMs'> {
  readonly config: Config;
  readonly mode: ProgressMode;
  readonly hint: string;
  readonly flags: FollowFlags;
}

/** What a standby, which has the newest point for its aim and never ends by itself, has no use for. */
const EXCLUDED: readonly (readonly [name: string, property: string])[] = [
  ['tx', 'tx'],
  ['timestamp', 'timestamp'],
  ['before-reducer', 'beforeReducer'],
  ['generation', 'generation'],
  ['dry-run', 'dryRun'],
  ['partial', 'partial'],
  ['if-db-not-exists', 'ifDbNotExists'],
  ['if-replica-exists', 'ifReplicaExists'],
];

/** Gives the exit code. @throws UsageError for flags that do not go together, and what `runFollow` throws */
export async function followFor(session: Session, facts: FollowFacts): Promise<number> {
  const { config, mode, hint, flags, ...rest } = facts;
  if (!flags.follow) throw new UsageError('-interval goes with -follow', { hint });
  const given = new Map<string, unknown>(Object.entries(flags));
  for (const [name, property] of EXCLUDED) {
    if (given.get(property) === undefined) continue;
    throw new UsageError(`-follow and -${name} exclude each other`, { hint });
  }
  const intervalMs = parseDurationFlag('interval', flags.interval ?? '1s');
  if (intervalMs === 0) throw new UsageError('-interval must be longer than 0', { hint });
  const { io, version } = session;
  using display = new ProgressDisplay({ mode, stream: io.stderr, monotonic: () => systemClock.monotonic() });
  const log = await openSessionLog(session, config, display.stream);
  const { runFollow } = await import('../daemon/follow-command.ts');
  const message = `the restore was stopped: ${rest.target} was left as it was`;
  let left: UnfinishedRestore | null = null;
  try {
    const end = await interruptible(io, { message }, (signal) =>
      runFollow({
        ...rest,
        intervalMs,
        addr: config.addr,
        memoryBytes: config.memoryBytes,
        requestTimeoutMs: config.requestTimeoutMs,
        env: io.env,
        version,
        log,
        progress: (progress) => display.show(progress),
        onUnfinished: (kept) => (left = kept),
        onRestored: (report) => {
          display.clear();
          log.info('restored, and following from there', { target: rest.target, tx: report.position?.tx });
        },
        signal,
      }),
    );
    await tell(io, { target: rest.target, end, json: flags.json ?? false });
    return EXIT.ok;
  } catch (error) {
    display.clear();
    if (left !== null) await writeText(io.stderr, formatUnfinished(left));
    throw error;
  } finally {
    display.clear();
  }
}

async function tell(
  io: Io,
  { target, end, json }: { readonly target: string; readonly end: StandbyStatus; readonly json: boolean },
): Promise<void> {
  const { position, generation, counters, lagTransactions } = end;
  const tx = position?.tx.toString() ?? null;
  if (json) {
    const facts = { logObjects: counters.logObjects, lagTransactions };
    await writeJson(io.stdout, { outcome: 'followed', target, source: end.destination, generation, tx, ...facts });
    return;
  }
  const behind = lagTransactions === 0 ? '' : `, ${lagTransactions} behind the backup`;
  await writeText(io.stderr, `${target} stands by at transaction ${tx}${behind}: a server may open it\n`);
}
