/** A whole listing of one database's prefix, sorted into what it holds. */
import type { TxOffset } from '../core/types.ts';
import { type GenerationName, type LogObject, parseKey } from './keys.ts';
import type { ListedGeneration } from './line.ts';

export interface ListedManifest {
  readonly generation: GenerationName;
  readonly tx: TxOffset;
  readonly key: string;
  readonly size: number;
}

export interface Listing {
  readonly hasFormat: boolean;
  readonly hasHead: boolean;
  /** Every generation that any key names, ascending. */
  readonly generations: readonly ListedGeneration[];
  /** Those whose generation.json is there. */
  readonly generationDocuments: ReadonlySet<GenerationName>;
  /** In the listing's order: by level, segment and first transaction. */
  readonly logObjects: ReadonlyMap<GenerationName, readonly LogObject[]>;
  /** Ascending by transaction. */
  readonly manifests: ReadonlyMap<GenerationName, readonly ListedManifest[]>;
  /** Size by hash. */
  readonly packs: ReadonlyMap<string, number>;
  /** Keys that are none of ours: how many, and the first few. */
  readonly foreign: { readonly count: number; readonly first: readonly string[] };
}

const FOREIGN_KEYS_KEPT = 10;

class ListingBuilder {
  hasFormat = false;
  hasHead = false;
  readonly documents = new Set<GenerationName>();
  readonly logObjects = new Map<GenerationName, LogObject[]>();
  readonly manifests = new Map<GenerationName, ListedManifest[]>();
  readonly packs = new Map<string, number>();
  readonly foreign: string[] = [];
  foreignCount = 0;

  add(key: string, size: number): void {
    const parsed = Number.isSafeInteger(size) && size >= 0 ? parseKey(key) : null;
    switch (parsed?.kind) {
      case 'format':
        this.hasFormat = true;
        break;
      case 'head':
        this.hasHead = true;
        break;
      case 'generation':
        this.documents.add(parsed.generation);
        break;
      case 'log':
        append(this.logObjects, parsed.name.generation, { ...parsed.name, key, size });
        break;
      case 'manifest':
        append(this.manifests, parsed.generation, { generation: parsed.generation, tx: parsed.tx, key, size });
        break;
      case 'pack':
        this.packs.set(parsed.hash, size);
        break;
      case undefined:
        this.foreignCount += 1;
        if (this.foreign.length < FOREIGN_KEYS_KEPT) this.foreign.push(key);
        break;
    }
  }

  finish(): Listing {
    const names = new Set([...this.documents, ...this.logObjects.keys(), ...this.manifests.keys()]);
    return {
      hasFormat: this.hasFormat,
      hasHead: this.hasHead,
      generations: [...names].sort().map((generation) => ({
        generation,
        holdsData: this.logObjects.has(generation) || this.manifests.has(generation),
      })),
      generationDocuments: this.documents,
      logObjects: this.logObjects,
      manifests: this.manifests,
      packs: this.packs,
      foreign: { count: this.foreignCount, first: this.foreign },
    };
  }
}

function append<T>(lists: Map<GenerationName, T[]>, generation: GenerationName, item: T): void {
  const list = lists.get(generation);
  if (list) list.push(item);
  else lists.set(generation, [item]);
}

/**
 * What has an impossible size is foreign, whatever its key.
 *
 * @param entries keys relative to the database's prefix, in the store's order; also a part of a listing
 */
export async function readListing(
  entries: AsyncIterable<{ readonly key: string; readonly size: number }> | Iterable<{ key: string; size: number }>,
): Promise<Listing> {
  const builder = new ListingBuilder();
  for await (const { key, size } of entries) builder.add(key, size);
  return builder.finish();
}
