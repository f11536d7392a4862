/**
 * A moment by chance at which a whole server is restored: between its oldest image and the newest commit of its databases,
 * each microsecond alike, so that drills come to all images and all of what lies between them in time.
 */
import { UnrecoverablePointError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { type Micros, micros } from '../core/types.ts';
import { chooseGeneration } from '../layout/line.ts';
import { replicaPrefix, SERVER_PREFIX } from '../layout/server-keys.ts';
import type { ReplicaClient } from '../replica/replica-client.ts';
import type { FetchOptions } from '../restore/fetch-parts.ts';
import { readStore } from '../restore/read-store.ts';
import { lineRuns, lineTo } from '../restore/recoverable.ts';
import { imagesOfLine } from '../restore/server/image-line.ts';
import { type ListedImage, readServerStore } from '../restore/server/read-server-store.ts';
import { draw } from './random-point.ts';

export interface RandomMomentsOptions {
  /** Of the destination's root. */
  readonly client: ReplicaClient;
  /** Its databases. */
  readonly replicaIds: readonly bigint[];
  readonly clientAt: (prefix: string) => ReplicaClient;
  readonly fetch: Omit<FetchOptions, 'client'>;
  readonly seed: number;
  readonly log: Log;
}

/**
 * Never empty. The first is the one by chance; where a database has no recovery point as early as that, the times of the
 * images behind it are tried, ascending.
 *
 * @throws as `readServerStore` and `imagesOfLine`; CorruptionError where a database's line cannot be followed
 */
export async function randomMoments(options: RandomMomentsOptions): Promise<readonly [Micros, ...Micros[]]> {
  const { client, replicaIds, clientAt, fetch, seed, log } = options;
  const view = await readServerStore({ ...fetch, client: clientAt(SERVER_PREFIX), log });
  const images = imagesOfLine(view, { source: client.url });
  const oldest = images.at(-1) as ListedImage;
  let end = (images[0] as ListedImage).image.time;
  for (const replicaId of replicaIds) {
    const time = await newestTime({ ...fetch, client: clientAt(replicaPrefix(replicaId)) }, log);
    if (time !== null && time > end) end = time;
  }
  const begin = oldest.image.time;
  const moment = micros(begin + draw(seed, end - begin + 1n));
  const behind = images.map(({ image }) => image.time).filter((time) => time > moment);
  return [moment, ...behind.toReversed()];
}

/** Of the line that a restore takes, by names; null where nothing of it is stored. */
async function newestTime(fetch: FetchOptions, log: Log): Promise<Micros | null> {
  const view = await readStore({ ...fetch, log });
  const generation = chooseGeneration(view.head, view.listing.generations);
  const run = generation === null ? undefined : lineRuns(view, lineTo(view, generation)).at(-1);
  return run?.steps.at(-1)?.object.time ?? null;
}

/** @param attempt asked with one moment after the other, until one has a recovery point; null: the newest of all */
export async function firstRecoverable<T>(
  moments: readonly Micros[],
  { attempt, log }: { readonly attempt: (moment: Micros | null) => Promise<T>; readonly log: Log },
): Promise<T> {
  for (const moment of moments) {
    try {
      return await attempt(moment);
    } catch (error) {
      if (!(error instanceof UnrecoverablePointError)) throw error;
      log.info(`the moment that chance told has no recovery point, and a later one is tried: ${error.message}`);
    }
  }
  return await attempt(null);
}
