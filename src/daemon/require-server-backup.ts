/** What kind of backup lies at a destination, before a whole server is replicated to it. */
import { ConfigurationError } from '../core/errors.ts';
import type { ReplicaClient } from '../replica/replica-client.ts';
import { type AskOptions, readKind } from './stored-parts.ts';

/**
 * Nothing, or that of a server.
 *
 * @param client of the destination's root
 * @throws ConfigurationError where it is that of a single database; CorruptionError, UnsupportedFormatError; store errors
 */
export async function requireServerBackup(client: ReplicaClient, options: AskOptions): Promise<void> {
  if ((await readKind(client, options)) !== 'database') return;
  throw new ConfigurationError(`${client.url} holds the backup of a single database`, {
    hint: 'Replicate a whole server data directory to a prefix of its own.',
    facts: { url: client.url },
  });
}
