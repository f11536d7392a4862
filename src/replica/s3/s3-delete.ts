/** Deletes in batches of 1,000; one by one at stores that refuse batches (they want Content-MD5, or know none). */
import { type CallOptions, type DeleteFailure, ObjectNotFoundError } from '../replica-client.ts';
import type { S3Connection } from './s3-connection.ts';
import { RequestRefusedError, s3Error } from './s3-errors.ts';
import { BATCH_KEYS } from './s3-options.ts';

const SINGLES_AT_ONCE = 8;
/** Connections to stores that refuse batches: each is asked only once. */
const withoutBatches = new WeakSet<S3Connection>();

/** @throws what concerns all keys: no such bucket, no permission, no answer */
export async function deleteObjects(
  connection: S3Connection,
  keys: readonly string[],
  options: CallOptions,
): Promise<readonly DeleteFailure[]> {
  const failures: DeleteFailure[] = [];
  for (let start = 0; start < keys.length; start += BATCH_KEYS) {
    failures.push(...(await deleteBatch(connection, keys.slice(start, start + BATCH_KEYS), options)));
  }
  return failures;
}

async function deleteBatch(
  connection: S3Connection,
  keys: readonly string[],
  options: CallOptions,
): Promise<readonly DeleteFailure[]> {
  if (keys.length === 1 || withoutBatches.has(connection)) return deleteOneByOne(connection, keys, options);
  const { sdk, client, bucket, url } = connection;
  const command = new sdk.DeleteObjectsCommand({
    Bucket: bucket,
    Delete: { Objects: keys.map((Key) => ({ Key })), Quiet: true },
  });
  try {
    const what = `delete ${keys.length} objects`;
    const answer = await connection.call({ what, signal: options.signal }, (http) => client.send(command, http));
    const failures: DeleteFailure[] = [];
    for (const { Key = '', Code = 'UnknownError', Message = '' } of answer.Errors ?? []) {
      if (Code === 'NoSuchKey') continue;
      // An error in a list that came with status 200: shaped as if it had been the answer to this one key.
      const single = Object.assign(new Error(Message), { name: Code, $metadata: { httpStatusCode: 400 } });
      const error = s3Error(single, { what: `delete ${Key}`, url, bucket, answered: true });
      failures.push({ key: Key, error: error as Error });
    }
    return failures;
  } catch (error) {
    if (!(error instanceof RequestRefusedError)) throw error;
    withoutBatches.add(connection);
    return deleteOneByOne(connection, keys, options);
  }
}

async function deleteOneByOne(
  connection: S3Connection,
  keys: readonly string[],
  { signal }: CallOptions,
): Promise<readonly DeleteFailure[]> {
  const { sdk, client, bucket: Bucket } = connection;
  const failures: DeleteFailure[] = [];
  const rest = [...keys].reverse();
  const work = async (): Promise<void> => {
    for (let Key = rest.pop(); Key !== undefined; Key = rest.pop()) {
      try {
        const command = new sdk.DeleteObjectCommand({ Bucket, Key });
        await connection.call({ what: `delete ${Key}`, signal }, (http) => client.send(command, http));
      } catch (error) {
        if (error instanceof RequestRefusedError) failures.push({ key: Key, error });
        else if (!(error instanceof ObjectNotFoundError)) {
          rest.length = 0;
          throw error;
        }
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(SINGLES_AT_ONCE, keys.length) }, work));
  return failures;
}
