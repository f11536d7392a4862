/**
 * `-restore-if-db-not-exists`: before a server starts, each configured database whose directory holds none is restored
 * from its backup, where there is one.
 *
 * Invariant: when this resolves, each directory holds its database or was never backed up; whatever else is the case, a
 * server must not be started on it: it would silently begin an empty database.
 */
import type { Config } from '../config/config.ts';
import { NoBackupError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { runRestore } from './restore-command.ts';

/** As many as `restore` has by default. */
const REQUESTS_AT_ONCE = 8;

export interface RestoreFirstOptions {
  readonly config: Config;
  readonly giveUpAfterMs: number;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** @throws what `restore` throws, but for NoBackupError: a first start */
export async function restoreFirst({ config, giveUpAfterMs, log, signal }: RestoreFirstOptions): Promise<void> {
  const { memoryBytes, requestTimeoutMs } = config;
  for (const { path, replicas } of config.dbs) {
    const own = config.dbs.length > 1 ? log.child({ database: path }) : log;
    try {
      const report = await runRestore({
        urls: replicas.map(({ url }) => url),
        target: path,
        dryRun: false,
        ifDatabaseAbsent: true,
        parallelism: REQUESTS_AT_ONCE,
        memoryBytes,
        requestTimeoutMs,
        giveUpAfterMs,
        log: own,
        progress: () => undefined,
        onUnfinished: ({ path: kept, bytes }) =>
          own.warn('the restore is not finished: the next start goes on with what was written', { kept, bytes }),
        signal,
      });
      const { source } = report;
      if (report.outcome === 'exists') own.info(`${path} holds a database: nothing is restored`);
      else if (report.kind === 'database')
        own.info(`${path} was restored`, { source, tx: report.position?.tx ?? null });
      else own.info(`${path} was restored`, { source, replicas: report.replicas.length });
    } catch (error) {
      if (!(error instanceof NoBackupError)) throw error;
      own.info(`${path} has no backup yet: a first start`, { url: error.facts['url'] ?? null });
    }
  }
}
