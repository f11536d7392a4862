/**
 * The commits of a line, for people: as many objects are read as the question needs. Names tell which; of long objects
 * only some frames are read.
 *
 * Invariants: commits come ascending, each once; what is damaged or gone is said and left out, where another object holds
 * the same commits they are taken from there, and where none does the log ends with a failure after all the rest.
 */
import { aboutObject } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { mapAhead } from '../core/map-ahead.ts';
import { type Micros, micros, type TxOffset, txOffset, U64_MAX } from '../core/types.ts';
import type { GenerationName } from '../layout/keys.ts';
import type { LineStep } from '../layout/walk-line.ts';
import type { FetchOptions } from '../restore/fetch-parts.ts';
import { isUnusable } from '../restore/follow-plan.ts';
import type { LineRun } from '../restore/line-runs.ts';
import { lineEnd } from '../restore/plan.ts';
import type { StoreView } from '../restore/plan-types.ts';
import { lineRuns, lineTo } from '../restore/recoverable.ts';
import { findHoles, holeError, isOutsideOfTimes } from './log-holes.ts';
import { isWanted, type LoggedCommit, type LogQuery, sideOf } from './logged-commit.ts';
import { objectCommits } from './object-commits.ts';
import { OwnCommits } from './own-commits.ts';
import { commitsBackward, commitsForward, type StepOptions } from './step-commits.ts';

/** Objects up to this size are read several at once. */
const SMALL_BYTES_MAX = 64 * 1024;
const COMMIT_TRANSACTIONS_MAX = 65_535n;

export interface ReadLogOptions {
  readonly fetch: FetchOptions;
  readonly query: LogQuery;
  /** Another line than the head's: a generation's name or number. */
  readonly generation?: string | undefined;
  readonly log: Log;
}

/** A step, and where in its line it stands. */
interface Stop {
  readonly run: LineRun;
  readonly index: number;
  /** Null: the commit before the run's first step, which only a snapshot keeps. */
  readonly step: LineStep | null;
}

type StepStop = Stop & { readonly step: LineStep };

/**
 * @throws NoBackupError, UsageError for an unknown generation; CorruptionError where the line cannot be followed, and
 * last of all where a part of what is asked for is missing; what the client throws
 */
export function readLog(view: StoreView, options: ReadLogOptions): AsyncGenerator<readonly LoggedCommit[], void, void> {
  const generation = lineEnd({ source: options.fetch.client.url, view, generation: options.generation });
  return new LogReader(view, generation, options).read();
}

class LogReader {
  readonly #view: StoreView;
  readonly #generation: GenerationName;
  readonly #options: ReadLogOptions;
  readonly #unusable = new Map<string, Error>();
  /** The last transactions of these, as far as they belong to the line. */
  readonly #lost: TxOffset[] = [];
  readonly #own: OwnCommits;
  #runs: readonly LineRun[];

  constructor(view: StoreView, generation: GenerationName, options: ReadLogOptions) {
    this.#view = view;
    this.#generation = generation;
    this.#options = options;
    this.#own = new OwnCommits(options.fetch);
    this.#runs = this.#findRuns();
  }

  #findRuns(): readonly LineRun[] {
    return lineRuns(this.#view, lineTo(this.#view, this.#generation), { unusable: this.#unusable });
  }

  async *read(): AsyncGenerator<readonly LoggedCommit[], void, void> {
    const { count } = this.#options.query;
    if (count === null) yield* this.#forward();
    else {
      const found = await this.#backward(count);
      if (found.length > 0) yield found;
      // What is older than the oldest of these was not asked for.
      if (found.length === count) return await this.#requireWhole(found[0]?.first ?? null);
    }
    await this.#requireWhole(null);
  }

  async *#forward(): AsyncGenerator<readonly LoggedCommit[], void, void> {
    for (let cursor: TxOffset | null = txOffset(0n); cursor !== null; ) {
      try {
        for await (const batch of this.#forwardFrom(cursor)) {
          const last = batch.at(-1)?.last ?? cursor;
          yield batch;
          if (last === U64_MAX) return;
          cursor = txOffset(last + 1n);
        }
        cursor = null;
      } catch (error) {
        this.#noteUnusable(error);
      }
    }
  }

  /** Small objects ahead, side by side; a long one when it is its turn, so that memory stays bounded. */
  async *#forwardFrom(cursor: TxOffset): AsyncGenerator<readonly LoggedCommit[], void, void> {
    const { fetch } = this.#options;
    const stops = this.#stops().filter(({ run, step }) => (step === null ? run.first : endOf(step)) >= cursor);
    const begin = async (stop: Stop) => {
      if (!isStep(stop)) return [await this.#ownCommit(stop, this.#options.query)];
      const options = await this.#optionsOf(stop, cursor);
      if (stop.step.object.size > SMALL_BYTES_MAX) return commitsForward(stop.step, options);
      return await collect(commitsForward(stop.step, options));
    };
    for await (const batches of mapAhead(stops, begin, { ahead: fetch.parallelism, signal: fetch.signal })) {
      yield* batches;
    }
  }

  async #backward(count: number): Promise<readonly LoggedCommit[]> {
    const { fetch, query } = this.#options;
    let found: readonly LoggedCommit[] = [];
    for (;;) {
      // After damage only what lies before the oldest that was found is looked for.
      const before: TxOffset | null = found[0]?.first ?? null;
      if (before === 0n) return found;
      const upper = before === null ? query : { ...query, ...upTo(query, txOffset(before - 1n)) };
      const stops = this.#stops()
        .filter(({ run, step }) => before === null || (step?.object.first ?? run.first) < before)
        .toReversed();
      const read = async (stop: Stop) => {
        if (!isStep(stop)) return await this.#ownCommit(stop, upper);
        return await commitsBackward(stop.step, count, {
          ...(await this.#optionsOf(stop, txOffset(0n))),
          query: upper,
        });
      };
      // More ahead would be read in vain where the newest object alone has enough.
      const ahead = query.reducer === null ? 2 : fetch.parallelism;
      try {
        for await (const commits of mapAhead(stops, read, { ahead, signal: fetch.signal })) {
          found = [...commits, ...found].slice(-count);
          if (found.length === count) return found;
        }
        return found;
      } catch (error) {
        this.#noteUnusable(error);
        // What lies behind a hole that nothing leads over is no recovery point.
        found = found.filter(({ last }) => this.#runs.some((run) => run.first <= last && last <= run.last));
      }
    }
  }

  /** The steps that may hold what is asked for, ascending. */
  #stops(): readonly Stop[] {
    const { from, to } = this.#options.query;
    const stops: Stop[] = [];
    for (const run of this.#runs) {
      if (run.commitFromManifest && !isBeyond(run.first, this.#options.query))
        stops.push({ run, index: -1, step: null });
      for (const [index, step] of run.steps.entries()) {
        const { object } = step;
        const before = run.steps[index - 1];
        if (from?.kind === 'tx' && endOf(step) < from.tx) continue;
        if (to?.kind === 'tx' && object.first > to.tx) continue;
        // A name's time is never earlier than that of any commit in the object, also of one that is cut.
        if (from?.kind === 'time' && object.time < from.time) continue;
        if (to?.kind === 'time' && before?.cut === null && before.object.time > to.time) continue;
        stops.push({ run, index, step });
      }
    }
    return stops;
  }

  /** One at the most. @throws as `OwnCommits.of` */
  async #ownCommit({ run }: Stop, query: LogQuery): Promise<readonly LoggedCommit[]> {
    const own = await this.#own.of(run);
    return own !== null && isWanted(own.commit, query) && sideOf(own.time, query) === 0 ? [own.commit] : [];
  }

  async #optionsOf(stop: StepStop, cursor: TxOffset): Promise<StepOptions> {
    const { fetch, query } = this.#options;
    const timeBefore = await this.#timeBefore(stop);
    const { first } = stop.run;
    // What lies before a run's first point, in the same object, leads to no restore.
    const notBefore = cursor > first ? cursor : first;
    return { fetch, query, timeBefore: this.#isWithinTimes(stop, timeBefore) ? null : timeBefore, notBefore };
  }

  #isWithinTimes({ step: { object } }: StepStop, timeBefore: Micros): boolean {
    const { from, to } = this.#options.query;
    const isLate = from?.kind !== 'time' || timeBefore >= from.time;
    return isLate && (to?.kind !== 'time' || object.time <= to.time);
  }

  /** The line's time before a step; 0 where no question depends on it. */
  async #timeBefore({ run, index }: Stop): Promise<Micros> {
    const { from, to } = this.#options.query;
    if (from?.kind !== 'time' && to?.kind !== 'time') return micros(0n);
    const before = run.steps[index - 1];
    if (before === undefined) return this.#timeOfName(run) ?? (await this.#own.of(run))?.time ?? micros(0n);
    if (before.cut === null) return before.object.time;
    // A cut object's name tells of later commits.
    const timeBefore = await this.#timeBefore({ run, index: index - 1, step: before });
    let time = timeBefore;
    for await (const batch of objectCommits(before, { fetch: this.#options.fetch, timeBefore })) {
      time = batch.at(-1)?.time ?? time;
    }
    return time;
  }

  /** Of the object that ends where the run begins, where it is still listed. */
  #timeOfName({ steps }: LineRun): Micros | null {
    const begin = steps[0]?.object;
    for (const objects of this.#view.listing.logObjects.values()) {
      const own = objects.find(
        ({ last, crc }) => begin !== undefined && last + 1n === begin.first && crc === begin.prev,
      );
      if (own !== undefined) return own.time;
    }
    return null;
  }

  #noteUnusable(error: unknown): void {
    const key = isUnusable(error) ? error.facts['key'] : undefined;
    const step = this.#runs.flatMap(({ steps }) => steps).find(({ object }) => object.key === key);
    const run = this.#runs.find(({ snapshot }) => snapshot?.key === key);
    const lost = step === undefined ? run?.first : endOf(step);
    if (lost === undefined || typeof key !== 'string' || this.#unusable.has(key) || !(error instanceof Error))
      throw error;
    this.#unusable.set(key, error);
    this.#lost.push(lost);
    this.#options.log.warn(`the log goes on without an object that cannot be used: ${aboutObject(key, error)}`);
    this.#runs = this.#findRuns();
  }

  /** @param since what is older is not asked for @throws CorruptionError */
  async #requireWhole(since: TxOffset | null): Promise<void> {
    const { from, to } = this.#options.query;
    const begin = since ?? (from?.kind === 'tx' ? from.tx : null);
    const { head } = this.#view;
    const stored = head?.generation === this.#generation ? (head.position?.tx ?? null) : null;
    const known = stored === null ? this.#lost : [...this.#lost, stored];
    for (const hole of findHoles(this.#runs, known)) {
      const { after, before } = hole;
      const isOlder = begin !== null && before !== null && before.first <= begin;
      const isNewer = to?.kind === 'tx' && after !== null && after.last >= to.tx;
      if (isOlder || isNewer || (await isOutsideOfTimes(hole, this.#options))) continue;
      throw holeError(hole, this.#generation);
    }
  }
}

async function collect<T>(items: AsyncIterable<T>): Promise<readonly T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

const isStep = (stop: Stop): stop is StepStop => stop.step !== null;

/** Whether no commit that holds `tx` can be among those asked for, as long as one may be. */
const isBeyond = (tx: TxOffset, { from, to }: LogQuery): boolean =>
  (from?.kind === 'tx' && tx + COMMIT_TRANSACTIONS_MAX < from.tx) ||
  (to?.kind === 'tx' && tx > to.tx + COMMIT_TRANSACTIONS_MAX);

const endOf = ({ object, cut }: LineStep): TxOffset => cut?.tx ?? object.last;

/** The earlier of the two ends; a time goes on to be asked about. */
function upTo({ to }: LogQuery, tx: TxOffset): Pick<LogQuery, 'to'> {
  if (to?.kind === 'tx' && to.tx < tx) return { to };
  return { to: { kind: 'tx', tx } };
}
