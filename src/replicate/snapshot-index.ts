/**
 * Which snapshot objects are stored already, and where: the newest manifest of the line, and the packs that this process
 * has put since. A new snapshot names those places instead of storing the objects again.
 */
import type { PackPlace } from '../layout/manifest.ts';

interface PackUse {
  readonly bytes: number;
  used: number;
}

export class SnapshotIndex {
  readonly #places = new Map<string, PackPlace>();
  readonly #packBytes = new Map<string, number>();

  addPack(pack: { pack: string; bytes: number }): void {
    this.#packBytes.set(pack.pack, pack.bytes);
  }

  addObject(hash: string, place: PackPlace): void {
    this.#places.set(hash, place);
  }

  clear(): void {
    this.#places.clear();
    this.#packBytes.clear();
  }

  /** Forgets all but a snapshot that has been stored: the index does not grow with the process's age. */
  keepOnly(places: ReadonlyMap<string, PackPlace>): void {
    const packs = new Set([...places.values()].map(({ pack }) => pack));
    for (const hash of this.#places.keys()) if (!places.has(hash)) this.#places.delete(hash);
    for (const pack of this.#packBytes.keys()) if (!packs.has(pack)) this.#packBytes.delete(pack);
  }

  /**
   * Of `hashes`, those that need not be stored again. Objects whose pack would be less than half in use by this snapshot
   * are left out: they are packed anew, so that old packs can be deleted one day.
   */
  reusable(hashes: Iterable<string>): Map<string, PackPlace> {
    const known: [string, PackPlace][] = [];
    const use = new Map<string, PackUse>();
    for (const hash of hashes) {
      const place = this.#places.get(hash);
      if (place === undefined) continue;
      known.push([hash, place]);
      const pack = use.get(place.pack) ?? { bytes: this.#packBytes.get(place.pack) ?? Infinity, used: 0 };
      pack.used += place.length;
      use.set(place.pack, pack);
    }
    return new Map(known.filter(([, place]) => halfInUse(use.get(place.pack))));
  }

  packBytes(pack: string): number | undefined {
    return this.#packBytes.get(pack);
  }
}

const halfInUse = (pack: PackUse | undefined): boolean => pack !== undefined && pack.used * 2 >= pack.bytes;
