/** The same work on many items, a few at once. */

/**
 * Resolves when all is done. After a failure nothing more is begun; what was begun is waited for, and then the first
 * failure is thrown.
 */
export async function concurrently<T>(
  items: Iterable<T>,
  work: (item: T) => Promise<void>,
  { limit }: { readonly limit: number },
): Promise<void> {
  const iterator = items[Symbol.iterator]();
  let failure: { readonly error: unknown } | null = null;
  const worker = async (): Promise<void> => {
    for (let next = iterator.next(); next.done !== true && failure === null; next = iterator.next()) {
      try {
        await work(next.value);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: limit }, worker));
  // Read through a function: control flow analysis does not see that the workers assign it.
  const failed = ((): { readonly error: unknown } | null => failure)();
  if (failed !== null) throw failed.error;
}
