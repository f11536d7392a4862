/** The names in a destination, and nothing of what they name: for a support bundle. */
import { type Clock, systemClock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import { redactUrl } from '../replica/registry.ts';
import { openDestination } from './destination.ts';

/** A destination for people: without secrets. */
export const nameOfDestination = (url: string): string => redactUrl(url);

export interface ListNamesOptions {
  readonly requestTimeoutMs: number;
  readonly giveUpAfterMs: number;
  readonly namesMax: number;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly clock?: Clock;
}

export interface ListedNames {
  /** In the store's order. */
  readonly names: readonly { readonly key: string; readonly size: number }[];
  /** Whether there are more. */
  readonly cut: boolean;
}

export async function listNames(url: string, options: ListNamesOptions): Promise<ListedNames> {
  const { requestTimeoutMs, giveUpAfterMs, namesMax, log, signal, clock = systemClock } = options;
  const { client } = await openDestination(url, { requestTimeoutMs, giveUpAfterMs, clock, log });
  await using _ = client;
  const names: { key: string; size: number }[] = [];
  for await (const { key, size } of client.list('', { signal })) {
    if (names.length === namesMax) return { names, cut: true };
    names.push({ key, size });
  }
  return { names, cut: false };
}
