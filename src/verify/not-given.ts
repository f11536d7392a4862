/** Whether an object that could not be found was removed since it was listed, or is one that the store has lost. */
import { CorruptionError, UnsupportedFormatError } from '../core/errors.ts';
import { ObjectNotFoundError } from '../replica/replica-client.ts';
import type { FetchOptions } from '../restore/fetch-parts.ts';

/** The store lists an object, and says that it is not there: nothing that needs it can be restored. */
export class NotGivenError extends CorruptionError {}

/**
 * Null where nothing of that name is listed any more: whoever removed it is at work now, and that is no damage.
 *
 * @throws what the client throws
 */
export async function whyNotGiven(
  key: string,
  { client, signal }: Pick<FetchOptions, 'client' | 'signal'>,
): Promise<NotGivenError | null> {
  for await (const listed of client.list(key, { signal })) {
    if (listed.key !== key) continue;
    return new NotGivenError(`${key} is listed, and the store says that it is not there`, { facts: { key } });
  }
  return null;
}

/**
 * What is wrong with an object that could not be read; null where it was removed since it was listed.
 *
 * @throws `error` where that is no damage; what the client throws
 */
export async function damageBehind(
  error: unknown,
  { key, fetch }: { readonly key: string; readonly fetch: Pick<FetchOptions, 'client' | 'signal'> },
): Promise<CorruptionError | UnsupportedFormatError | null> {
  if (error instanceof ObjectNotFoundError) return await whyNotGiven(key, fetch);
  if (error instanceof CorruptionError || error instanceof UnsupportedFormatError) return error;
  throw error;
}
