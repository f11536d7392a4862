/** Reading head.json, which whoever wants the lease must have read before it may be replaced. */
import { decodeHeadDocument, type HeadDocument } from '../layout/head-document.ts';
import { DOCUMENT_BYTES_MAX } from '../layout/json-document.ts';
import { HEAD_KEY } from '../layout/keys.ts';
import { ObjectNotFoundError, type ObjectVersion, readBody, type ReplicaClient } from '../replica/replica-client.ts';

export interface StoredHead {
  readonly document: HeadDocument;
  readonly version: ObjectVersion;
}

/** Null where the store proves that there is none. */
export async function readHead(
  client: ReplicaClient,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<StoredHead | null> {
  try {
    const object = await client.get(HEAD_KEY, { signal });
    const document = decodeHeadDocument(await readBody(object, DOCUMENT_BYTES_MAX));
    return { document, version: object.version };
  } catch (error) {
    if (error instanceof ObjectNotFoundError) return null;
    throw error;
  }
}
