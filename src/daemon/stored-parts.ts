/** What lies at a destination's root: the backup of one database, or of a whole server and which databases it has. */
import { decodeFormatDocument, type FormatDocument } from '../layout/format-document.ts';
import { DOCUMENT_BYTES_MAX } from '../layout/json-document.ts';
import { FORMAT_KEY } from '../layout/keys.ts';
import { parseRootKey, REPLICAS_PREFIX, replicaPrefix } from '../layout/server-keys.ts';
import { ObjectNotFoundError, readBody, type ReplicaClient } from '../replica/replica-client.ts';

export interface AskOptions {
  readonly signal: AbortSignal;
}

/** Null where there is no format.json. @throws CorruptionError, UnsupportedFormatError; store errors */
export async function readKind(client: ReplicaClient, options: AskOptions): Promise<FormatDocument['kind'] | null> {
  try {
    const body = await readBody(await client.get(FORMAT_KEY, options), DOCUMENT_BYTES_MAX);
    return decodeFormatDocument(body).kind;
  } catch (error) {
    if (error instanceof ObjectNotFoundError) return null;
    throw error;
  }
}

/** Ids of the databases of a server's backup, in the order of their keys; one listing's page for each. */
export async function listStoredReplicas(client: ReplicaClient, options: AskOptions): Promise<readonly bigint[]> {
  const ids: bigint[] = [];
  for (let after = REPLICAS_PREFIX; ; ) {
    const found = await firstReplica(client, after, options);
    if (found === null) return ids;
    ids.push(found);
    // Behind every key of that database, before any other's: 0 is the character that follows the slash.
    after = `${replicaPrefix(found).slice(0, -1)}0`;
  }
}

async function firstReplica(client: ReplicaClient, after: string, options: AskOptions): Promise<bigint | null> {
  for await (const { key } of client.list(REPLICAS_PREFIX, { startAfter: after, ...options })) {
    const parsed = parseRootKey(key);
    if (parsed?.kind === 'replica') return parsed.replicaId;
  }
  return null;
}
