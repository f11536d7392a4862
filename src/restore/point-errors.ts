/** Why a point cannot be restored, with the nearest ones that can: whether there never was one, or something is missing. */
import { type TxOffset, txOffset } from '../core/types.ts';
import type { GenerationName } from '../layout/keys.ts';
import type { LineRun } from './line-runs.ts';
import { beginOf, nearestPoints, noSuchPoint, pointInHole } from './nearest-points.ts';
import type { ManifestFacts, StoreView } from './plan-types.ts';
import type { PointCommit } from './point-request.ts';
import { lineRuns, lineTo, rangesOf, type RecoverableRange } from './recoverable.ts';

export interface PointErrorsContext {
  readonly view: StoreView;
  readonly generation: GenerationName;
  readonly manifests: ReadonlyMap<string, ManifestFacts>;
  readonly unusable: ReadonlyMap<string, Error>;
}

export class PointErrors {
  readonly #runs: readonly LineRun[];
  readonly #context: PointErrorsContext;
  /** As many as runs, in their order. */
  readonly #ranges: readonly RecoverableRange[];

  constructor(runs: readonly LineRun[], context: PointErrorsContext) {
    this.#runs = runs;
    this.#context = context;
    this.#ranges = rangesOf(runs, context);
  }

  /** @throws CorruptionError where the head, or an object that is damaged or gone, tells of commits behind the last one */
  requireEnd(what: string): void {
    const end = this.#runs.at(-1)?.last;
    if (end === undefined) return;
    this.#requireUndamagedEnd(end, what);
    const known = this.#headTx();
    if (known === null || end >= known) return;
    const { generation } = this.#context;
    throw pointInHole(
      `log objects are missing behind transaction ${end} of generation ${generation}, which is stored up to ${known} by ` +
        `its head: it cannot be told ${what}`,
      { before: this.#ranges.at(-1)?.to ?? null, after: null },
    );
  }

  /** The head lags behind what is stored: names tell of more. */
  #requireUndamagedEnd(end: TxOffset, what: string): void {
    const { view, generation, manifests } = this.#context;
    const damage = this.#damage();
    if (damage === undefined) return;
    const named = lineRuns(view, lineTo(view, generation), { manifests }).at(-1)?.last ?? end;
    if (named <= end) return;
    throw pointInHole(
      `what lies behind transaction ${end} of generation ${generation}, up to ${named}, cannot be read, so that it cannot ` +
        `be told ${what}: ${damage.message}`,
      { before: this.#ranges.at(-1)?.to ?? null, after: null },
      { facts: { generation }, cause: damage },
    );
  }

  #headTx(): TxOffset | null {
    const { view, generation } = this.#context;
    return view.head?.generation === generation ? (view.head.position?.tx ?? null) : null;
  }

  /** Of a transaction that lies in no run. */
  outside(tx: TxOffset): Error {
    const { generation } = this.#context;
    const nearest = nearestPoints(this.#ranges, tx);
    const facts = { generation, tx };
    const known = this.#headTx();
    if (nearest.after === null && this.#damage() === undefined && (known === null || known < tx)) {
      return noSuchPoint(`transaction ${tx} is beyond the end of generation ${generation}`, nearest, facts);
    }
    if (nearest.before === null && this.#damage() === undefined) {
      return noSuchPoint(`generation ${generation} holds no point as early as transaction ${tx}`, nearest, facts);
    }
    const why = this.#damage()?.message ?? 'log objects are missing there';
    return pointInHole(`transaction ${tx} of generation ${generation} cannot be restored: ${why}`, nearest, {
      facts,
      cause: this.#damage(),
    });
  }

  /** What was asked for lies before the run's first point: before the first of all, or in a hole. */
  beforeRun(run: LineRun): Error {
    const { generation } = this.#context;
    const at = this.#runs.indexOf(run);
    const range = this.#ranges[at];
    const nearest = { before: this.#ranges[at - 1]?.to ?? null, after: range ? beginOf(range) : null };
    const facts = { generation };
    if (at === 0 && this.#damage() === undefined) {
      return noSuchPoint(`the point lies before the first one that generation ${generation} holds`, nearest, facts);
    }
    const why = this.#damage()?.message ?? 'there log objects are missing';
    const where = `the point lies before transaction ${run.first} of generation ${generation}`;
    return pointInHole(`${where}, and ${why}`, nearest, { facts, cause: this.#damage() });
  }

  /** @param first the first commit that has a time; null where none has */
  beforeTimes(first: PointCommit | null): Error {
    const { generation } = this.#context;
    const after = first && { tx: first.last, time: first.time };
    const nearest = { before: null, after };
    if (after === null) return noSuchPoint(`no commit of generation ${generation} has a time`, nearest, { generation });
    return noSuchPoint(`the time lies before the first commit of generation ${generation} that has one`, nearest, {
      generation,
    });
  }

  withinCommit(tx: TxOffset, { first, last }: PointCommit, run: LineRun): Error {
    const isFirst = first === 0n || first <= run.first;
    const before = isFirst
      ? (this.#ranges[this.#runs.indexOf(run) - 1]?.to ?? null)
      : { tx: txOffset(first - 1n), time: null };
    const why = `transaction ${tx} lies within a commit of ${last - first + 1n} transactions, ${first} to ${last}, which is never split`;
    return noSuchPoint(why, { before, after: { tx: last, time: null } }, { tx });
  }

  neverCalled(reducer: string): Error {
    const { generation } = this.#context;
    const nearest = { before: this.#ranges.at(-1)?.to ?? null, after: null };
    const name = JSON.stringify(reducer);
    return noSuchPoint(`no commit that generation ${generation} holds begins with a call of ${name}`, nearest);
  }

  nothing(): Error {
    const { generation } = this.#context;
    const nearest = { before: null, after: null };
    const damage = this.#damage();
    const facts = { generation };
    if (damage === undefined) return noSuchPoint(`in generation ${generation}`, nearest, facts);
    return pointInHole(`in generation ${generation} ${damage.message}`, nearest, { facts, cause: damage });
  }

  /** Something was found to be damaged or gone: what is not found may lie there. */
  #damage(): Error | undefined {
    const [damage] = this.#context.unusable.values();
    return damage;
  }
}
