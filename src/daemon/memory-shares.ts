/**
 * How the memory of the process is divided, so that no store which does not answer can keep another one waiting.
 *
 * Invariants: each replicator has a part of its own for the log objects of a database that keeps up, which nobody else
 * can hold; each store has a part of its own for backlogs and snapshots, shared by what is replicated there. What a dead
 * store holds, it holds of its own. The sum of all parts is the memory that was configured.
 */
import { ByteBudget } from '../core/byte-budget.ts';
import { assert } from '../core/errors.ts';
import { STEADY_BYTES_MAX } from '../replicate/log-uploader.ts';

/** Kept for replicators at least: some may still come. */
const STEADY_PART_MIN = 1 / 8;
/** With very many replicators each has less than a log object of a busy database wants. */
const STEADY_PART_MAX = 1 / 2;

export interface MemorySharesOptions {
  readonly memoryBytes: number;
  /** The stores that fail independently of each other, by any name. */
  readonly stores: ReadonlySet<string>;
}

/** One replicator's part; to be disposed of when it has ended. */
export interface MemberMemory extends Disposable {
  /** Its store's, for much. */
  readonly budget: ByteBudget;
  /** Its own, for little. */
  readonly steadyBudget: ByteBudget;
}

export class MemoryShares {
  readonly #memoryBytes: number;
  readonly #stores: ReadonlyMap<string, ByteBudget>;
  readonly #members = new Set<ByteBudget>();

  constructor({ memoryBytes, stores }: MemorySharesOptions) {
    this.#memoryBytes = memoryBytes;
    const each = (memoryBytes * (1 - STEADY_PART_MIN)) / Math.max(1, stores.size);
    this.#stores = new Map([...stores].map((store) => [store, new ByteBudget(each)]));
  }

  /**
   * The part of a replicator to `store`. All parts are cut anew then: what others already hold above theirs stays with
   * them until they give it back, and the newcomer does not wait for that.
   */
  join(store: string): MemberMemory {
    const budget = this.#stores.get(store);
    assert(budget !== undefined, `${store} is none of the stores`);
    const steadyBudget = new ByteBudget(STEADY_BYTES_MAX);
    this.#members.add(steadyBudget);
    this.#divide();
    return {
      budget,
      steadyBudget,
      [Symbol.dispose]: () => {
        if (this.#members.delete(steadyBudget)) this.#divide();
      },
    };
  }

  #divide(): void {
    const count = Math.max(1, this.#members.size);
    const wanted = Math.max(count * STEADY_BYTES_MAX, this.#memoryBytes * STEADY_PART_MIN);
    const steady = Math.min(wanted, this.#memoryBytes * STEADY_PART_MAX);
    const mine = Math.floor(Math.min(STEADY_BYTES_MAX, steady / count));
    for (const member of this.#members) member.resize(mine);
    const theirs = Math.floor((this.#memoryBytes - steady) / this.#stores.size);
    for (const store of this.#stores.values()) store.resize(theirs);
  }
}
