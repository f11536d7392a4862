/**
 * Reads packs whole, each once: its bytes against its name, and every object in it that a manifest names against its
 * hash. Also each snapshot file, and that it and its manifest name the same objects.
 */
import { Blake3 } from '../core/checksum.ts';
import { CorruptionError, errorMessage, UnsupportedFormatError } from '../core/errors.ts';
import { packKey } from '../layout/keys.ts';
import type { PackedObject } from '../layout/manifest.ts';
import { unpackObject } from '../layout/pack.ts';
import { concurrently } from '../restore/concurrently.ts';
import { type FetchOptions, fetchParts } from '../restore/fetch-parts.ts';
import { partBytesFor, partCount, PartStream, partsOf } from '../restore/part-stream.ts';
import { checkFits, readPlace } from '../restore/read-snapshot.ts';
import { checkObject } from '../spacetimedb/page.ts';
import { decodeSnapshotFile, listObjects, type ObjectKind } from '../spacetimedb/snapshot-file.ts';
import { effectOfManifests, packLines, type ReadManifest } from './check-manifests.ts';
import type { Effects } from './effects.ts';
import { type Finding, NO_EFFECT, REMEDY } from './finding.ts';
import { damageBehind, NotGivenError } from './not-given.ts';

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

interface WantedObject extends PackedObject {
  readonly kind: ObjectKind;
}

/** Of one pack: offset and the first 48 bits of the hash of each object that was checked. */
type CheckedObjects = Map<number, number>;

const CHECKED_HASH_DIGITS = 12;
const PARTS_AHEAD = 2;

/** @throws what the client throws */
export async function checkPacks(options: CheckPacksOptions): Promise<Finding[]> {
  return await new PackCheck(options).run();
}

class PackCheck {
  readonly #options: CheckPacksOptions;
  readonly #findings: Finding[] = [];
  readonly #checked = new Map<string, CheckedObjects>();
  /** Packs that are told of already: one finding for each. */
  readonly #bad = new Set<string>();

  constructor(options: CheckPacksOptions) {
    this.#options = options;
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
      // A pack that is not there is told of by the listing, unless that names it.
      const found = await damageBehind(error, { key: pack, fetch });
      if (found !== null) this.#note(manifest, found, pack);
      return;
    }
    const missing = new Set(kinds.keys());
    try {
      await concurrently(
        await this.#groups(manifest, { kinds, missing }),
        ([pack, objects]) => this.#readPack(pack, objects),
        { limit: atOnce },
      );
      const [first] = missing;
      if (first !== undefined) {
        const error = new CorruptionError(`${key} does not name ${missing.size} objects of its snapshot, as ${first}`);
        this.#findings.push(this.#finding(key, error, effectOfManifests([manifest], effects, error)));
      }
    } catch (error) {
      this.#note(manifest, error, key);
    }
  }

  /** What of each wanted pack is still to be checked; nothing of a pack that was read for the same objects before. */
  async #groups(
    { listed }: ReadManifest,
    { kinds, missing }: { readonly kinds: ReadonlyMap<string, ObjectKind>; readonly missing: Set<string> },
  ): Promise<Map<string, WantedObject[]>> {
    const groups = new Map<string, WantedObject[]>();
    for await (const { pack, objects } of packLines(listed, this.#options.fetch)) {
      const checked = this.#checked.get(pack);
      const isRead = this.#options.packs.has(pack);
      for (const object of objects) {
        const kind = kinds.get(object.hash);
        if (kind === undefined || !missing.delete(object.hash)) {
          throw new CorruptionError(
            `${listed.key} names the object ${object.hash} twice, or the snapshot file does not name it`,
          );
        }
        if (!isRead || checked?.get(object.offset) === shortHash(object.hash)) continue;
        checkFits(object, { key: packKey(pack), fetch: this.#options.fetch });
        const group = groups.get(pack);
        if (group) group.push({ ...object, kind });
        else groups.set(pack, [{ ...object, kind }]);
      }
    }
    return groups;
  }

  async #readPack(pack: string, objects: WantedObject[]): Promise<void> {
    const { fetch, packs, onPack } = this.#options;
    const size = packs.get(pack) ?? 0;
    const key = packKey(pack);
    if (this.#bad.has(pack)) return;
    const isFirst = !this.#checked.has(pack);
    try {
      await readWholePack({ pack, size, objects: objects.sort((a, b) => a.offset - b.offset), fetch });
      const checked = this.#checked.get(pack) ?? new Map<number, number>();
      for (const { offset, hash } of objects) checked.set(offset, shortHash(hash));
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

const shortHash = (hash: string): number => Number.parseInt(hash.slice(0, CHECKED_HASH_DIGITS), 16);

interface ReadPackOptions {
  readonly pack: string;
  readonly size: number;
  /** By rising offset; two may not overlap, but the same place may be named twice. */
  readonly objects: readonly WantedObject[];
  readonly fetch: FetchOptions;
}

/** One pass: what has come of the next object is kept, the rest is hashed and let go. */
async function readWholePack({ pack, size, objects, fetch }: ReadPackOptions): Promise<void> {
  const key = packKey(pack);
  const partBytes = partBytesFor(fetch.budget.bytesMax);
  await using stream = new PartStream(
    fetchParts(partsOf({ key, size }, partBytes), { ...fetch, parallelism: PARTS_AHEAD }),
  );
  const hash = new Blake3();
  let kept: Buffer = Buffer.alloc(0);
  let keptAt = 0;
  let next = 0;
  let failure: Error | null = null;
  for await (const bytes of stream.next(partCount({ key, size }, partBytes))) {
    hash.update(bytes);
    kept = kept.byteLength === 0 ? Buffer.from(bytes) : Buffer.concat([kept, bytes]);
    const end = keptAt + kept.byteLength;
    for (let object = objects[next]; object && object.offset + object.length <= end; object = objects[next]) {
      next += 1;
      const at = object.offset - keptAt;
      if (at < 0) throw new CorruptionError(`manifests name places of ${key} that overlap`, { facts: { key } });
      try {
        const plain = await unpackObject(kept.subarray(at, at + object.length), object, { key });
        checkObject({ kind: object.kind, hash: object.hash, bytes: plain });
      } catch (error) {
        if (!(error instanceof CorruptionError)) throw error;
        // The whole pack is read all the same: its name tells whether it was altered, or the manifest is wrong.
        failure ??= error;
      }
    }
    const wanted = objects[next];
    const from = Math.min(end, Math.max(keptAt, wanted === undefined ? end : wanted.offset));
    kept = Buffer.from(kept.subarray(from - keptAt));
    keptAt = from;
  }
  if (hash.digestHex() !== pack) {
    throw new CorruptionError(`${key} does not hold the bytes that its name is the hash of`, { facts: { key } });
  }
  if (failure !== null) throw failure;
  if (next < objects.length) throw new CorruptionError(`manifests name places beyond the end of ${key}`);
}
