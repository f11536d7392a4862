/** A recovery point by chance, each transaction alike, so that drills come to all of them in time. */
import { blake3Hex } from '../core/checksum.ts';
import { NoBackupError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { micros, type TxOffset, txOffset } from '../core/types.ts';
import { chooseGeneration } from '../layout/line.ts';
import type { FetchOptions } from '../restore/fetch-parts.ts';
import type { LineRun } from '../restore/line-runs.ts';
import { readStore } from '../restore/read-store.ts';
import { lineRuns, lineTo } from '../restore/recoverable.ts';
import { scanObject } from '../restore/scan-object.ts';

export interface RandomPointOptions {
  readonly fetch: FetchOptions;
  readonly seed: number;
  readonly log: Log;
}

/** 0 to `below` - 1; the same for the same seed. */
export const draw = (seed: number, below: bigint): bigint => BigInt(`0x${blake3Hex(Buffer.from(`${seed}`))}`) % below;

/** The end of a commit of the line that a restore takes. @throws NoBackupError, CorruptionError, and what the client throws */
export async function chooseRandomPoint({ fetch, seed, log }: RandomPointOptions): Promise<TxOffset> {
  const view = await readStore({ ...fetch, log });
  const generation = chooseGeneration(view.head, view.listing.generations);
  const runs = generation === null ? [] : lineRuns(view, lineTo(view, generation));
  const count = runs.reduce((sum, { first, last }) => sum + (last - first + 1n), 0n);
  if (count === 0n) {
    throw new NoBackupError(`there is no recovery point in ${fetch.client.url}`, { facts: { url: fetch.client.url } });
  }
  let rest = draw(seed, count);
  for (const run of runs) {
    const length = run.last - run.first + 1n;
    if (rest < length) return await commitEnd(run, { tx: txOffset(run.first + rest), fetch });
    rest -= length;
  }
  throw new TypeError('a number below the sum lies in one of the runs');
}

/** Commits are never split: the end of the one that holds `tx`. */
async function commitEnd(
  run: LineRun,
  { tx, fetch }: { readonly tx: TxOffset; readonly fetch: FetchOptions },
): Promise<TxOffset> {
  const step = run.steps.find(({ object, cut }) => object.first <= tx && tx <= (cut?.tx ?? object.last));
  // Only the snapshot's own commit lies in no step.
  if (step === undefined) return run.first;
  let end: TxOffset | null = null;
  const visit = ({ lastTx }: { readonly lastTx: TxOffset }): boolean => {
    end = lastTx;
    return lastTx >= tx;
  };
  await scanObject(step, { fetch, timeBefore: micros(0n), visit });
  return end ?? tx;
}
