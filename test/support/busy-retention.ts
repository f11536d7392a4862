/** What compaction and retention do to a store while somebody reads it: longer objects replace those that they cover. */
import type { LogObject } from '../../src/layout/keys.ts';
import { parseKey } from '../../src/layout/keys.ts';
import type { MemoryReplicaClient } from '../../src/replica/memory/memory-replica-client.ts';
import type { Random } from '../sim/random.ts';
import type { PointStore } from './point-stores.ts';
import { commitsBetween } from './store-builder.ts';

const LEVEL_MAX = 9;

export class BusyRetention {
  readonly #client: MemoryReplicaClient;
  readonly #store: PointStore;
  readonly #random: Random;
  replaced = 0;
  snapshotsDeleted = 0;

  constructor(random: Random, store: PointStore, client: MemoryReplicaClient) {
    this.#random = random;
    this.#store = store;
    this.#client = client;
  }

  /** Puts one longer object for some that a reader would take, and deletes everything that it covers. */
  async replaceSome(): Promise<void> {
    const { builder, generations, lines } = this.#store;
    const index = this.#random.int(0, generations.length - 1);
    const generation = generations[index];
    const objects = this.#logObjects().filter((object) => object.generation === generation);
    const taken = chainOf(objects);
    const from = this.#random.int(0, Math.max(0, taken.length - 2));
    const [begin] = taken.slice(from);
    const some = taken.slice(from, from + this.#random.int(2, 6)).filter(({ segment }) => segment === begin?.segment);
    const last = some.at(-1);
    const level = Math.max(...some.map((object) => object.level)) + 1;
    if (generation === undefined || begin === undefined || last === undefined || some.length < 2) return;
    if (level > LEVEL_MAX) return;
    const commits = commitsBetween(lines[index] ?? [], begin.first, last.last);
    const [made] = await builder.putLog(generation, { commits, level, prev: begin.prev });
    const covered = objects.filter(
      ({ key, first, last: end }) => key !== made && first >= begin.first && end <= last.last,
    );
    for (const { key } of covered) this.#client.store.objects.delete(key);
    this.replaced += covered.length;
  }

  /** A manifest goes first; what it named, later. */
  deleteSnapshot(): void {
    const manifests = [...this.#client.store.objects.keys()].filter((key) => parseKey(key)?.kind === 'manifest');
    if (manifests.length === 0) return;
    this.#client.store.objects.delete(this.#random.pick(manifests));
    this.snapshotsDeleted += 1;
  }

  #logObjects(): LogObject[] {
    const objects: LogObject[] = [];
    for (const [key, { bytes }] of this.#client.store.objects) {
      const parsed = parseKey(key);
      if (parsed?.kind === 'log') objects.push({ ...parsed.name, key, size: bytes.byteLength });
    }
    return objects;
  }
}

/** From the first commit on, always the longest: objects here begin and end where shorter ones do. */
function chainOf(objects: readonly LogObject[]): LogObject[] {
  const chain: LogObject[] = [];
  const isNext = ({ first, prev }: LogObject): boolean => {
    const before = chain.at(-1);
    return before === undefined || (first === before.last + 1n && prev === before.crc);
  };
  const ascending = objects.toSorted((a, b) =>
    a.first < b.first ? -1 : a.first > b.first ? 1 : a.last > b.last ? -1 : 1,
  );
  for (const object of ascending) if (isNext(object)) chain.push(object);
  return chain;
}
