/**
 * Snapshots that could not be stored: passed over, so that they stand in nobody's way. What is damaged stays so; what
 * could not be read because of the disk or the machine is looked at again, after a few passes and then after ever more,
 * since a snapshot may be long and its reading is not free.
 */
import type { TxOffset } from '../core/types.ts';

export const PASSES_FIRST = 8;
export const PASSES_MAX = 4096;

interface Unusable {
  readonly tx: TxOffset;
  /** Looked at again from this pass on; null: never. */
  readonly againAt: number | null;
  readonly waitPasses: number;
}

export class UnusableSnapshots {
  readonly #known = new Map<string, Unusable>();
  #pass = 0;

  /** To be told at each pass over the directory. */
  beginPass(): void {
    this.#pass += 1;
  }

  /** Whether to pass it over now. */
  has(name: string): boolean {
    const known = this.#known.get(name);
    return known !== undefined && (known.againAt === null || this.#pass < known.againAt);
  }

  add(name: string, { tx, isDamaged }: { tx: TxOffset; isDamaged: boolean }): void {
    const before = this.#known.get(name)?.waitPasses ?? PASSES_FIRST / 2;
    const waitPasses = Math.min(PASSES_MAX, before * 2);
    this.#known.set(name, { tx, againAt: isDamaged ? null : this.#pass + waitPasses, waitPasses });
  }

  /** One was stored: those before it are of no use any more. */
  stored(tx: TxOffset): void {
    for (const [name, known] of this.#known) if (known.tx <= tx && known.againAt !== null) this.#known.delete(name);
  }

  /** Whether one will be looked at again although nothing in the directory changes. */
  get isWaiting(): boolean {
    return [...this.#known.values()].some(({ againAt }) => againAt !== null);
  }
}
