/**
 * The newest commit of a run whose first transaction called a reducer: no name tells it, so objects are looked through,
 * from the newest one back.
 *
 * What is asked for is mostly a mistake of today. So the newest object is read alone, with all of the bandwidth; each
 * object that was looked through in vain lets twice as many be read side by side, up to `parallelism`. The budget bounds
 * their bytes: each scan gives back what it has looked at, so none waits for one before it.
 */
import { mapAhead } from '../core/map-ahead.ts';
import type { Micros } from '../core/types.ts';
import type { LineStep } from '../layout/walk-line.ts';
import type { FetchOptions } from './fetch-parts.ts';
import type { LineRun } from './line-runs.ts';
import type { PointCommit } from './point-request.ts';

/** A commit that is a recovery point, and the line's time there. */
export interface Point {
  readonly commit: PointCommit;
  readonly time: Micros;
}

/** A commit that a restore must not reach. */
export interface StepBoundary {
  /** Of the step that holds `next`. */
  readonly index: number;
  readonly next: PointCommit;
  /** The commit before `next` in the same object. */
  readonly before: Point | null;
}

export interface FindLastCallOptions {
  readonly reducer: string;
  readonly fetch: Pick<FetchOptions, 'parallelism' | 'signal'>;
  /** Every commit of the step with this index, up to its cut, until `visit` says enough. */
  readonly scan: (
    index: number,
    visit: (commit: PointCommit, time: Micros) => boolean,
    options: { readonly signal: AbortSignal },
  ) => Promise<void>;
  /** Objects without such a call, noted here: a search that begins again after damage does not read them again. */
  readonly searched: Set<string>;
  /** With the stored bytes of an object that was looked through in vain. */
  readonly onSearched: (bytes: number) => void;
}

/** @throws what `scan` throws, for the newest object that failed, where none newer than it has the call */
export async function findLastCall(
  { steps, first }: Pick<LineRun, 'steps' | 'first'>,
  { reducer, fetch, scan, searched, onSearched }: FindLastCallOptions,
): Promise<StepBoundary | null> {
  const stop = new AbortController();
  const signal = AbortSignal.any([fetch.signal, stop.signal]);
  const read = async ([index, step]: readonly [number, LineStep]): Promise<SearchedStep> => {
    // Commits before `first` are not looked at.
    const name = `${first} ${step.object.key} ${step.cut?.tx ?? ''}`;
    const result = { found: null as StepBoundary | null, bytes: step.object.size };
    if (searched.has(name)) return result;
    let before: Point | null = null;
    const visit = (commit: PointCommit, time: Micros): boolean => {
      if (commit.last < first) return false;
      if (commit.reducer === reducer) result.found = { index, next: commit, before };
      before = { commit, time };
      return false;
    };
    await scan(index, visit, { signal });
    if (result.found === null) searched.add(name);
    return result;
  };
  let width = 1;
  const newestFirst = [...steps.entries()].toReversed();
  for await (const { found, bytes } of mapAhead(newestFirst, read, { ahead: () => width, signal: fetch.signal })) {
    if (found !== null) {
      // What was begun beside it is older, and not wanted.
      stop.abort();
      return found;
    }
    onSearched(bytes);
    width = Math.min(2 * width, Math.max(1, fetch.parallelism));
  }
  return null;
}

interface SearchedStep {
  readonly found: StepBoundary | null;
  readonly bytes: number;
}

export const sizeOf = (steps: readonly LineStep[]): number =>
  steps.reduce((bytes, { object }) => bytes + object.size, 0);
