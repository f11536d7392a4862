/** The composition root of `log`: one database of one destination, its commits one batch after the other. */
import type { LoggedCommit, LogQuery } from '../browse/logged-commit.ts';
import { readLog } from '../browse/read-log.ts';
import { systemClock } from '../core/clock.ts';
import { UsageError } from '../core/errors.ts';
import { replicaPrefix } from '../layout/server-keys.ts';
import type { ReplicaClient } from '../replica/replica-client.ts';
import { prefixedClient } from '../replica/wrap/prefixed.ts';
import { readStore } from '../restore/read-store.ts';
import { readKind, requireServer } from '../restore/server/read-server-store.ts';
import { type BrowseOptions, fetchFrom, noBackup } from './browse-parts.ts';
import { chooseDestination } from './choose-destination.ts';
import { openDestination } from './destination.ts';
import { listStoredReplicas } from './stored-parts.ts';

export type { LogBound, LoggedCommit, LogQuery } from '../browse/logged-commit.ts';

export interface BrowseLogOptions extends BrowseOptions {
  readonly query: LogQuery;
  /** Another line than the head's: a generation's name or number. */
  readonly generation?: string | undefined;
}

/**
 * Ascending. Of several destinations the one is read that a restore would take.
 *
 * @throws as `readLog` and `chooseDestination`; UsageError where it is not clear which database is meant
 */
export async function* browseLog(
  urls: readonly string[],
  options: BrowseLogOptions,
): AsyncGenerator<readonly LoggedCommit[], void, void> {
  const { log, clock = systemClock } = options;
  await using opened = new AsyncDisposableStack();
  const clients: ReplicaClient[] = [];
  for (const url of urls) {
    const { client } = await openDestination(url, { ...options, clock });
    clients.push(opened.use(client));
  }
  const [only] = clients;
  const root =
    only !== undefined && clients.length === 1 ? only : await chooseDestination(clients, { ...options, partial: true });
  const client = await databaseIn(root, options);
  const fetch = fetchFrom(client, options);
  const view = await readStore({ ...fetch, log });
  yield* readLog(view, { ...options, fetch });
}

/** @throws UsageError where a server's backup holds several databases and none is named; NoBackupError where none */
async function databaseIn(root: ReplicaClient, { replicaId, signal }: BrowseLogOptions): Promise<ReplicaClient> {
  const kind = await readKind({ client: root, signal });
  if (replicaId !== undefined) {
    requireServer(kind, root.url);
    return prefixedClient(root, replicaPrefix(replicaId));
  }
  if (kind !== 'server') return root;
  const ids = [...(await listStoredReplicas(root, { signal }))].sort((a, b) => (a < b ? -1 : 1));
  const [first] = ids;
  if (first === undefined) throw noBackup(root.url);
  if (ids.length === 1) return prefixedClient(root, replicaPrefix(first));
  throw new UsageError(`${root.url} holds several databases, and the log is that of one`, {
    hint: `Give -replica-id: one of ${ids.join(', ')}.`,
    facts: { url: root.url },
  });
}
