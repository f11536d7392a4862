/** The commits of one step of a line that a query asks for: as many objects' bytes as it takes, and no more. */
import { micros, type Micros, type TxOffset } from '../core/types.ts';
import type { LineStep } from '../layout/walk-line.ts';
import type { FetchOptions } from '../restore/fetch-parts.ts';
import { FramedObject } from './framed-object.ts';
import { isWanted, type LoggedCommit, type LogQuery, sideOf } from './logged-commit.ts';
import { objectCommits } from './object-commits.ts';

/** Above this, parts of an object are read where that is enough; below, one request for all of it costs less. */
export const WHOLE_BYTES_MAX = 1024 * 1024;
/** Frames that are read at once, backwards, at the most. */
const WINDOW_FRAMES_MAX = 16;

export interface StepOptions {
  readonly fetch: FetchOptions;
  readonly query: LogQuery;
  /**
   * The line's time before the step; null where the query's times do not cut through it: then all of its commits are
   * within them.
   */
  readonly timeBefore: Micros | null;
  /** Commits that begin before this transaction are left out. */
  readonly notBefore: TxOffset;
}

/** Ascending, in batches. @throws as `objectCommits` */
export async function* commitsForward(
  step: LineStep,
  options: StepOptions,
): AsyncGenerator<readonly LoggedCommit[], void, void> {
  const { fetch, query, timeBefore } = options;
  const isPart = isFramed(step, options) && (startsWithin(step, options) || endsWithin(step, options));
  if (isPart) {
    const object = await FramedObject.open(step.object, fetch);
    const { from, until } = await framesOf(object, options);
    for await (const batch of object.commits(from, until)) {
      const wanted = batch.filter((commit) => isAsked(commit, options));
      if (wanted.length > 0) yield wanted;
    }
    return;
  }
  for await (const batch of objectCommits(step, { fetch, timeBefore: timeBefore ?? micros(0n) })) {
    const wanted = batch.filter(
      ({ commit, time }) => (timeBefore === null || sideOf(time, query) === 0) && isAsked(commit, options),
    );
    if (wanted.length > 0) yield wanted.map(({ commit }) => commit);
    const last = batch.at(-1);
    if (last !== undefined && isBehind(last, options)) return;
  }
}

/** Ascending: of what is asked for, the newest `count`. @throws as `objectCommits` */
export async function commitsBackward(
  step: LineStep,
  count: number,
  options: StepOptions,
): Promise<readonly LoggedCommit[]> {
  if (isFramed(step, options)) return await backwardByFrames(step, count, options);
  let found: LoggedCommit[] = [];
  for await (const batch of commitsForward(step, options)) found = newest([...found, ...batch], count);
  return found;
}

const newest = (commits: LoggedCommit[], count: number): LoggedCommit[] =>
  commits.length > count ? commits.slice(commits.length - count) : commits;

async function backwardByFrames(step: LineStep, count: number, options: StepOptions): Promise<readonly LoggedCommit[]> {
  const object = await FramedObject.open(step.object, options.fetch);
  const { from: begin, until: end } = await framesOf(object, options);
  let found: LoggedCommit[] = [];
  for (
    let until = end, width = 1;
    until > begin && found.length < count;
    width = Math.min(width * 2, WINDOW_FRAMES_MAX)
  ) {
    const from = await object.beginAtOrBefore(Math.max(begin, until - width));
    const window: LoggedCommit[] = [];
    for await (const batch of object.commits(from, until)) {
      window.push(...batch.filter((commit) => isAsked(commit, options)));
    }
    found = newest([...window, ...found], count);
    until = from;
  }
  return found;
}

/** The frames that hold all that is asked for by transaction. */
async function framesOf(
  object: FramedObject,
  { query, notBefore }: StepOptions,
): Promise<{ readonly from: number; readonly until: number }> {
  const { first, last } = object.object;
  const begin = beginOf(query, notBefore);
  const from = begin > first ? await object.find(begin) : 0;
  if (query.to?.kind !== 'tx' || query.to.tx >= last) return { from, until: object.frames };
  return { from, until: await object.beginBehind(await object.find(query.to.tx)) };
}

const beginOf = ({ from }: LogQuery, notBefore: TxOffset): TxOffset =>
  from?.kind === 'tx' && from.tx > notBefore ? from.tx : notBefore;

/** Only of a whole object, and where no commit's time has to be known. */
const isFramed = ({ object, cut }: LineStep, { timeBefore }: StepOptions): boolean =>
  object.size > WHOLE_BYTES_MAX && cut === null && timeBefore === null;

const startsWithin = ({ object }: LineStep, { query, notBefore }: StepOptions): boolean =>
  beginOf(query, notBefore) > object.first;

const endsWithin = ({ object }: LineStep, { query }: StepOptions): boolean =>
  query.to?.kind === 'tx' && query.to.tx < object.last;

const isAsked = (commit: LoggedCommit, { query, notBefore }: StepOptions): boolean =>
  commit.first >= notBefore && isWanted(commit, query);

function isBehind(
  { commit, time }: { readonly commit: LoggedCommit; readonly time: Micros },
  { query, timeBefore }: StepOptions,
): boolean {
  const isLate = timeBefore !== null && sideOf(time, query) > 0;
  return isLate || (query.to?.kind === 'tx' && commit.last >= query.to.tx);
}
