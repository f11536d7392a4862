/** What kind of backup lies at a destination, before a whole server is replicated to it. */
import { ConfigurationError } from '../core/errors.ts';
import { decodeFormatDocument } from '../layout/format-document.ts';
import { DOCUMENT_BYTES_MAX } from '../layout/json-document.ts';
import { FORMAT_KEY } from '../layout/keys.ts';
import { ObjectNotFoundError, readBody, type ReplicaClient } from '../replica/replica-client.ts';

/**
 * Nothing, or that of a server.
 *
 * @param client of the destination's root
 * @throws ConfigurationError where it is that of a single database; CorruptionError, UnsupportedFormatError; store errors
 */
export async function requireServerBackup(client: ReplicaClient, options: { signal: AbortSignal }): Promise<void> {
  let bytes: Uint8Array;
  try {
    bytes = await readBody(await client.get(FORMAT_KEY, options), DOCUMENT_BYTES_MAX);
  } catch (error) {
    if (error instanceof ObjectNotFoundError) return;
    throw error;
  }
  if (decodeFormatDocument(bytes).kind === 'server') return;
  throw new ConfigurationError(`${client.url} holds the backup of a single database`, {
    hint: 'Replicate a whole server data directory to a prefix of its own.',
    facts: { url: client.url },
  });
}
