/** Decides what becomes of a restore's work when it fails: kept for the next one, or removed. */
import type { Staging } from './staging.ts';
import { isResumable, type OnUnfinished } from './unfinished.ts';

/** @throws what `work` throws; where that is worth going on, what it wrote is kept, and `onUnfinished` told */
export async function keepingUnfinished<T>(
  staging: Staging,
  { onUnfinished, signal }: { readonly onUnfinished?: OnUnfinished | undefined; readonly signal: AbortSignal },
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (onUnfinished === undefined || !isResumable(error, signal)) throw error;
    const left = await staging.keep();
    if (left !== null) onUnfinished(left);
    throw error;
  }
}
