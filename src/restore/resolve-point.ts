/**
 * From what a user asks for to one exact position: docs/decisions/0007-restoring-to-a-point.md.
 *
 * Names tell which object holds the point; it is read frame by frame up to there. A damaged object is left out, aloud, and
 * the next one that holds the same commits is asked. Nothing is guessed: where commits are missing that might be the asked
 * ones, that is corruption, with the nearest points that can be restored.
 */
import type { TimedPosition } from '../core/status.ts';
import { type Micros, micros, type TxOffset } from '../core/types.ts';
import type { GenerationName } from '../layout/keys.ts';
import { TIME_MIN } from '../layout/time.ts';
import type { FetchOptions } from './fetch-parts.ts';
import { isUnusable } from './follow-plan.ts';
import { findLastCall, type Point, sizeOf, type StepBoundary } from './last-call.ts';
import type { LineRun } from './line-runs.ts';
import type { ManifestFacts, PlannedManifest, StoreView } from './plan-types.ts';
import { PointErrors } from './point-errors.ts';
import type { PointCommit, PointRequest, ResolvedPoint } from './point-request.ts';
import { readLastCommit } from './read-last-commit.ts';
import { lineRuns, lineTo } from './recoverable.ts';
import { pointCommit, scanObject } from './scan-object.ts';

export interface ResolveContext {
  readonly view: StoreView;
  /** The line's last. */
  readonly generation: GenerationName;
  readonly fetch: FetchOptions;
  /** What was read so far; both grow while a point is searched for. */
  readonly manifests: ReadonlyMap<string, ManifestFacts>;
  readonly unusable: ReadonlyMap<string, Error>;
  readonly noteUnusable: (key: string, reason: Error) => void;
  /** Makes the manifest's facts known, or the manifest unusable. */
  readonly readManifest: (manifest: PlannedManifest) => Promise<void>;
  /** Called where many objects are looked through, with stored bytes. */
  readonly onSearched?: (bytes: { readonly bytesDone: number; readonly bytesTotal: number }) => void;
}

/** @throws UnrecoverablePointError, CorruptionError naming the nearest points; what the client throws */
export async function resolvePoint(request: PointRequest, context: ResolveContext): Promise<ResolvedPoint> {
  const searched = new Set<string>();
  for (;;) {
    const known = context.manifests.size + context.unusable.size;
    const search = new PointSearch(request, { ...context, searched });
    try {
      const found = await search.find();
      if (found !== null) return found;
      // A manifest had to be read first.
      if (context.manifests.size + context.unusable.size === known) throw new TypeError('nothing was learnt');
    } catch (error) {
      const key = isUnusable(error) ? error.facts['key'] : undefined;
      const isOfRun = typeof key === 'string' && search.holds(key) && !context.unusable.has(key);
      if (!isOfRun || !(error instanceof Error)) throw error;
      context.noteUnusable(key, error);
    }
  }
}

/** What was found: where the restore ends, if the commit before `next` is a recovery point of the run. */
interface Boundary extends StepBoundary {
  readonly run: LineRun;
}

interface SearchContext extends ResolveContext {
  /** Outlives the search: what `findLastCall` need not read again. */
  readonly searched: Set<string>;
}

class PointSearch {
  readonly #request: PointRequest;
  readonly #context: SearchContext;
  readonly #runs: readonly LineRun[];
  readonly #errors: PointErrors;
  /** Where objects are cut, by key. */
  readonly #ends = new Map<string, Point>();

  constructor(request: PointRequest, context: SearchContext) {
    const { view, generation } = context;
    this.#request = request;
    this.#context = context;
    this.#runs = lineRuns(view, lineTo(view, generation), context);
    this.#errors = new PointErrors(this.#runs, context);
  }

  holds(key: string): boolean {
    return this.#runs.some(({ steps }) => steps.some(({ object }) => object.key === key));
  }

  /** Null where a manifest was read, with which the runs must be looked at again. */
  async find(): Promise<ResolvedPoint | null> {
    const request = this.#request;
    if (this.#runs.length === 0) throw this.#errors.nothing();
    switch (request.kind) {
      case 'tx':
        return await this.#byTx(request.tx);
      case 'timestamp':
        return this.#requireTimed(await this.#byTime(request.time));
      case 'before-reducer':
        return await this.#beforeReducer(request.reducer);
    }
  }

  async #byTx(tx: TxOffset): Promise<ResolvedPoint | null> {
    const run = this.#runs.find(({ first, last }) => first <= tx && tx <= last);
    if (run === undefined) throw this.#errors.outside(tx);
    const index = run.steps.findIndex(({ object, cut }) => object.first <= tx && tx <= (cut?.tx ?? object.last));
    const step = run.steps[index];
    if (step === undefined) return await this.#ownCommit(run, tx);
    const { object, cut } = step;
    if (cut === null && object.last === tx) {
      return this.#found({ tx, crc: object.crc, time: object.time }, { commit: null, next: null });
    }
    let holder = null as Point | null;
    await this.#scan(run, index, (commit, time) => {
      if (commit.last >= tx) holder = { commit, time };
      return holder !== null;
    });
    const { commit, time } = holder ?? never();
    if (commit.last !== tx) throw this.#errors.withinCommit(tx, commit, run);
    return this.#found({ tx, crc: commit.crc, time }, { commit: null, next: null });
  }

  /** The point of a snapshot whose commit only its manifest holds. */
  async #ownCommit(run: LineRun, tx: TxOffset): Promise<ResolvedPoint | null> {
    const own = await this.#manifestPoint(run);
    if (own === null) return null;
    if (own.commit.last !== tx) throw this.#errors.withinCommit(tx, own.commit, run);
    return this.#found({ tx, crc: own.commit.crc, time: own.time }, { commit: null, next: null });
  }

  async #byTime(time: Micros): Promise<ResolvedPoint | null> {
    for (const run of this.#runs) {
      const isLater = await this.#beginsLater(run, time);
      if (isLater === null) return null;
      if (isLater) throw this.#errors.beforeRun(run);
      for (const [index, { object }] of run.steps.entries()) {
        if (object.time <= time) continue;
        // A cut object's name tells of commits that are not the line's.
        const found = await this.#firstLater(run, index, time);
        if (found !== null) return await this.#pointBefore(found);
      }
    }
    return await this.#end();
  }

  /** A commit without a time, before any that has one, cannot be said to be not later. The engine's own first one is such. */
  #requireTimed(found: ResolvedPoint | null): ResolvedPoint | null {
    if (found !== null && found.target.time <= TIME_MIN) throw this.#errors.beforeTimes(found.next);
    return found;
  }

  /** Whether even the commit that only the manifest holds is later; null where the manifest had to be read first. */
  async #beginsLater(run: LineRun, time: Micros): Promise<boolean | null> {
    if (!run.commitFromManifest) return false;
    const own = await this.#manifestPoint(run);
    return own && own.time > time;
  }

  async #firstLater(run: LineRun, index: number, time: Micros): Promise<Boundary | null> {
    let before: Point | null = null;
    let next: PointCommit | null = null;
    await this.#scan(run, index, (commit, now) => {
      if (now > time) next = commit;
      else if (commit.last >= run.first) before = { commit, time: now };
      return next !== null;
    });
    return next && { run, index, next, before };
  }

  async #beforeReducer(reducer: string): Promise<ResolvedPoint | null> {
    const bytesTotal = this.#runs.reduce((bytes, { steps }) => bytes + sizeOf(steps), 0);
    let bytesDone = 0;
    const onSearched = (bytes: number): void => {
      bytesDone += bytes;
      this.#context.onSearched?.({ bytesDone, bytesTotal });
    };
    this.#errors.requireEnd(`whether ${reducer} was called later`);
    for (const [at, run] of [...this.#runs.entries()].toReversed()) {
      const { searched, fetch } = this.#context;
      const scan = this.#scan.bind(this, run);
      const found = await findLastCall(run, { reducer, searched, fetch, scan, onSearched });
      if (found !== null) return await this.#pointBefore({ run, ...found });
      if (run.commitFromManifest) {
        const own = await this.#manifestPoint(run);
        if (own === null) return null;
        if (own.commit.reducer === reducer) throw this.#errors.beforeRun(run);
      }
      if (at > 0 && this.#adjacentBefore(run) === null) throw this.#errors.beforeRun(run);
    }
    throw this.#errors.neverCalled(reducer);
  }

  async #pointBefore({ run, index, next, before }: Boundary): Promise<ResolvedPoint | null> {
    if (before !== null) return this.#foundAt(before, next);
    if (index > 0) return this.#foundAt(await this.#lastOf(run, index - 1), next);
    const adjacent = this.#adjacentBefore(run);
    if (!run.commitFromManifest && adjacent === null) throw this.#errors.beforeRun(run);
    const point = run.commitFromManifest ? await this.#manifestPoint(run) : await this.#lastOfRun(adjacent ?? never());
    return point && this.#foundAt(point, next);
  }

  /** The run that ends right where this one begins: no commit lies between them. */
  #adjacentBefore(run: LineRun): LineRun | null {
    const before = this.#runs[this.#runs.indexOf(run) - 1];
    return before !== undefined && before.last + 1n === run.first ? before : null;
  }

  /** Nothing is later than the end of the line, which must be as far as it is known to be stored. */
  async #end(): Promise<ResolvedPoint | null> {
    this.#errors.requireEnd('which commit is the last one');
    const last = await this.#lastOfRun(this.#runs.at(-1) ?? never());
    return last && this.#foundAt(last, null);
  }

  /** Null where a manifest had to be read first. */
  async #lastOfRun(run: LineRun): Promise<Point | null> {
    return run.steps.length > 0 ? await this.#lastOf(run, run.steps.length - 1) : await this.#manifestPoint(run);
  }

  /** Every commit of the step, up to its cut, until `visit` says enough. */
  async #scan(
    run: LineRun,
    index: number,
    visit: (commit: PointCommit, time: Micros) => boolean,
    { signal } = { signal: this.#context.fetch.signal },
  ): Promise<void> {
    const step = run.steps[index] ?? never();
    await scanObject(step, {
      fetch: { ...this.#context.fetch, signal },
      timeBefore: await this.#timeBefore(run, index),
      visit: (facts, time) => visit(pointCommit(facts), time),
    });
  }

  async #timeBefore(run: LineRun, index: number): Promise<Micros> {
    if (index > 0) return await this.#timeAt(run, index - 1);
    const begin = run.steps[0]?.object ?? never();
    for (const { generation } of lineTo(this.#context.view, this.#context.generation)) {
      for (const { last, crc, time } of this.#context.view.listing.logObjects.get(generation) ?? []) {
        if (last + 1n === begin.first && crc === begin.prev) return time;
      }
    }
    const own = run.commitFromManifest && run.snapshot ? this.#context.manifests.get(run.snapshot.key) : undefined;
    return own?.header.time ?? micros(0n);
  }

  /** The line's time at the end of a step. A cut object's name tells of later commits: it is read up to the cut. */
  async #timeAt(run: LineRun, index: number): Promise<Micros> {
    const step = run.steps[index] ?? never();
    return step.cut === null ? step.object.time : (await this.#lastOf(run, index)).time;
  }

  async #lastOf(run: LineRun, index: number): Promise<Point> {
    const step = run.steps[index] ?? never();
    if (step.cut === null) {
      return { commit: await readLastCommit(step, this.#context.fetch), time: step.object.time };
    }
    const known = this.#ends.get(step.object.key);
    if (known !== undefined) return known;
    let last = null as Point | null;
    await this.#scan(run, index, (commit, time) => {
      last = { commit, time };
      return false;
    });
    this.#ends.set(step.object.key, last ?? never());
    return last ?? never();
  }

  /** Null where it is not known yet: it was read, and the runs must be looked at again. */
  async #manifestPoint({ snapshot }: LineRun): Promise<Point | null> {
    const { generation, tx, key, size } = snapshot ?? never();
    const facts = this.#context.manifests.get(key);
    if (facts === undefined) {
      await this.#context.readManifest({ generation, tx, manifestKey: key, manifestBytes: size });
      return null;
    }
    const { commit, header } = facts;
    return commit && { commit: pointCommit(commit.facts), time: header.time };
  }

  #foundAt({ commit, time }: Point, next: PointCommit | null): ResolvedPoint {
    return this.#found({ tx: commit.last, crc: commit.crc, time }, { commit, next });
  }

  #found(target: TimedPosition, rest: Pick<ResolvedPoint, 'commit' | 'next'>): ResolvedPoint {
    return { request: this.#request, target, ...rest };
  }
}

function never(): never {
  throw new TypeError('a point that was found lies in a run');
}
