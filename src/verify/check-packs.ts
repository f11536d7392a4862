/**
 * Reads packs whole, each once: its bytes against its name, and every object in it that a manifest names against its
 * hash. Also each snapshot file, and that it and its manifest name the same objects.
 */
import { Blake3 } from '../core/checksum.ts';
import { CorruptionError, errorMessage, UnsupportedFormatError } from '../core/errors.ts';
import { packKey } from '../layout/keys.ts';
import { mapAhead } from '../core/map-ahead.ts';
import { concurrently } from '../restore/concurrently.ts';
import { type FetchOptions, fetchParts } from '../restore/fetch-parts.ts';
import { partBytesFor, partCount, PartStream, partsOf } from '../restore/part-stream.ts';
import { readPlace } from '../restore/read-snapshot.ts';
import { decodeSnapshotFile, listObjects, type ObjectKind } from '../spacetimedb/snapshot-file.ts';
import { effectOfManifests, packLines, type ReadManifest } from './check-manifests.ts';
import type { Effects } from './effects.ts';
import { type Finding, NO_EFFECT, REMEDY } from './finding.ts';
import { damageBehind, NotGivenError } from './not-given.ts';
import { PackMemory, type WantedObject } from './pack-memory.ts';
import { PackObjects } from './pack-objects.ts';
import { uncheckedFinding, uncheckedFits } from './unchecked.ts';

export interface CheckPacksOptions {
  readonly manifests: readonly ReadManifest[];
  /** Size by hash: those to be read. */
  readonly packs: ReadonlyMap<string, number>;
  readonly effects: Effects;
  readonly fetch: FetchOptions;
  /** Packs read at once. */
  readonly atOnce: number;
  readonly onPack: (bytes: number) => void;
}

/** The first 32 bits of an object's hash tell which one of a place was checked. */
const CHECKED_HASH_DIGITS = 8;
const PARTS_AHEAD = 2;

/** @throws what the client throws */
export async function checkPacks(options: CheckPacksOptions): Promise<Finding[]> {
  return await new PackCheck(options).run();
}

class PackCheck {
  readonly #options: CheckPacksOptions;
  readonly #findings: Finding[] = [];
  readonly #checked = new Map<string, CheckedObjects>();
  readonly #memory: PackMemory;
  /** Packs that are told of already: one finding for each. */
  readonly #bad = new Set<string>();

  constructor(options: CheckPacksOptions) {
    this.#options = options;
    this.#memory = new PackMemory(options.fetch.budget);
  }

  async run(): Promise<Finding[]> {
    const { manifests, packs, atOnce } = this.#options;
    // Newest first: its objects are most of what is there, and older snapshots name few others.
    for (const manifest of manifests.toReversed()) await this.#checkSnapshot(manifest);
    const rest = [...packs.keys()].filter((pack) => !this.#checked.has(pack) && !this.#bad.has(pack));
    await concurrently(rest, (pack) => this.#readPack(pack, []), { limit: atOnce });
    return this.#findings;
  }

  async #checkSnapshot(manifest: ReadManifest): Promise<void> {
    const { fetch, atOnce, effects } = this.#options;
    const { listed, header } = manifest;
    const { key, tx } = listed;
    let kinds: Map<string, ObjectKind>;
    try {
      const bytes = await readPlace(header.snapshotFile, fetch);
      const decoded = decodeSnapshotFile(bytes, { path: `the snapshot file of ${key}` });
      if (decoded.txOffset !== tx || decoded.databaseIdentity !== header.databaseIdentity) {
        throw new CorruptionError(
          `the snapshot file of ${key} is that of database ${decoded.databaseIdentity} at ${decoded.txOffset}`,
        );
      }
      kinds = new Map(listObjects(decoded).map(({ hash, kind }) => [hash, kind]));
    } catch (error) {
      const pack = packKey(header.snapshotFile.pack);
      const unchecked = uncheckedFits(error, { key: pack, what: `the file of the snapshot at ${tx}` });
      if (unchecked !== null) return void this.#findings.push(unchecked);
      // A pack that is not there is told of by the listing, unless that names it.
      const found = await damageBehind(error, { key: pack, fetch });
      if (found !== null) this.#note(manifest, found, pack);
      return;
    }
    try {
      const groups = this.#groups(manifest, kinds);
      const read = ([pack, objects]: WantedPack): Promise<void> => this.#readPack(pack, objects);
      for await (const _ of mapAhead(groups, read, { ahead: atOnce, signal: fetch.signal }));
      const [first] = kinds.keys();
      if (first !== undefined) {
        const error = new CorruptionError(`${key} does not name ${kinds.size} objects of its snapshot, as ${first}`);
        this.#findings.push(this.#finding(key, error, effectOfManifests([manifest], effects, error)));
      }
    } catch (error) {
      const found = await damageBehind(error, { key, fetch });
      if (found !== null) this.#note(manifest, found, key);
    }
  }

  /**
   * What of each wanted pack is still to be checked, pack by pack as the manifest names them; nothing of a pack that was
   * read for the same objects before. What the manifest names is taken out of `kinds`.
   */
  async *#groups({ listed }: ReadManifest, kinds: Map<string, ObjectKind>): AsyncGenerator<WantedPack, void, void> {
    let group: readonly [pack: string, objects: WantedObject[]] | null = null;
    for await (const { pack, objects } of packLines(listed, this.#options.fetch)) {
      if (group !== null && group[0] !== pack) {
        if (group[1].length > 0) yield group;
        group = null;
      }
      group ??= [pack, []];
      const checked = this.#checked.get(pack);
      const isRead = this.#options.packs.has(pack);
      for (const object of objects) {
        const kind = kinds.get(object.hash);
        if (kind === undefined || !kinds.delete(object.hash)) {
          throw new CorruptionError(
            `${listed.key} names the object ${object.hash} twice, or the snapshot file does not name it`,
          );
        }
        if (isRead && checked?.has(object) !== true) group[1].push({ ...object, kind });
      }
    }
    if (group !== null && group[1].length > 0) yield group;
  }

  async #readPack(pack: string, objects: WantedObject[]): Promise<void> {
    const { fetch, packs, onPack } = this.#options;
    const size = packs.get(pack) ?? 0;
    const key = packKey(pack);
    if (this.#bad.has(pack)) return;
    const isFirst = !this.#checked.has(pack);
    try {
      await this.#readWholePack(pack, objects);
      const checked = this.#checked.get(pack) ?? new CheckedObjects();
      checked.add(objects);
      this.#checked.set(pack, checked);
    } catch (error) {
      // Removed since it was listed, by whoever removes what no manifest names.
      const found = await damageBehind(error, { key, fetch });
      if (found === null) return;
      this.#bad.add(pack);
      this.#note(null, found, key);
    }
    if (isFirst) onPack(size);
  }

  /** One pass: objects are proven as the bytes pass, and nothing of the pack is kept. */
  async #readWholePack(pack: string, objects: readonly WantedObject[]): Promise<void> {
    const { fetch, packs } = this.#options;
    const key = packKey(pack);
    const size = packs.get(pack) ?? 0;
    const partBytes = partBytesFor(fetch.budget.bytesMax);
    using share = await this.#memory.take(objects, fetch);
    const onTooLong = ({ hash }: WantedObject, budgetBytes: number): void =>
      void this.#findings.push(uncheckedFinding(key, `the blob ${hash}`, budgetBytes));
    using checks = new PackObjects(objects, { key, memory: this.#memory, share, onTooLong });
    await using stream = new PartStream(
      fetchParts(partsOf({ key, size }, partBytes), { ...fetch, parallelism: PARTS_AHEAD }),
    );
    const hash = new Blake3();
    for await (const bytes of stream.next(partCount({ key, size }, partBytes))) {
      hash.update(bytes);
      await checks.push(bytes);
    }
    if (hash.digestHex() !== pack) {
      throw new CorruptionError(`${key} does not hold the bytes that its name is the hash of`, { facts: { key } });
    }
    const failure = checks.failure();
    if (failure !== null) throw failure;
  }

  /** @throws what is no damage */
  #note(manifest: ReadManifest | null, error: unknown, key: string): void {
    if (!(error instanceof CorruptionError) && !(error instanceof UnsupportedFormatError)) throw error;
    const { manifests, effects } = this.#options;
    const by = manifest
      ? [manifest]
      : manifests.filter(({ packs }) => [...packs.keys()].some((p) => packKey(p) === key));
    const effect = by.length === 0 ? NO_EFFECT : effectOfManifests(by, effects, error);
    this.#findings.push(this.#finding(key, error, effect));
  }

  #finding(key: string, error: Error, effect: string): Finding {
    const isUnsupported = error instanceof UnsupportedFormatError;
    return {
      severity: 'damage',
      kind: isUnsupported ? 'unsupported' : error instanceof NotGivenError ? 'missing' : 'altered',
      key,
      message: errorMessage(error),
      effect,
      remedy: isUnsupported ? REMEDY.newerRelease : REMEDY.nextSnapshot,
    };
  }
}

type WantedPack = readonly [pack: string, objects: WantedObject[]];

const shortHash = (hash: string): number => Number.parseInt(hash.slice(0, CHECKED_HASH_DIGITS), 16);

/** Which objects of one pack were checked: 8 bytes for each, since a database may have millions. */
class CheckedObjects {
  /** By rising offset. No pack is longer than 32 bits count (PACK_BYTES_MAX). */
  #offsets = new Uint32Array(0);
  #hashes = new Uint32Array(0);

  add(objects: readonly WantedObject[]): void {
    const all = new Map<number, number>();
    for (const [index, offset] of this.#offsets.entries()) all.set(offset, this.#hashes[index] ?? 0);
    for (const { offset, hash } of objects) all.set(offset, shortHash(hash));
    this.#offsets = Uint32Array.from(all.keys()).sort();
    this.#hashes = this.#offsets.map((offset) => all.get(offset) ?? 0);
  }

  has({ offset, hash }: Pick<WantedObject, 'offset' | 'hash'>): boolean {
    let [low, high] = [0, this.#offsets.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#offsets[middle] ?? 0) < offset) low = middle + 1;
      else high = middle;
    }
    return this.#offsets[low] === offset && this.#hashes[low] === shortHash(hash);
  }
}
