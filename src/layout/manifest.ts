/**
 * The manifest of a snapshot: NDJSON in zstd frames, so that it streams at any size. The header line; then lines that
 * tell what lies where in the packs; last the end line, with the number of lines before it and the BLAKE3 of their
 * bytes, newlines included.
 *
 * Invariants: no line is longer than 64 KiB with its newline; the lines of one pack follow each other; every pack that
 * the header names has a line; totals in the header are those of the lines.
 */
import type { Micros, TxOffset } from '../core/types.ts';
import type { DocumentFields, JsonObject, JsonValue } from './document-fields.ts';
import { readHash } from './generation-document.ts';
import { FORMAT_VERSION } from './json-document.ts';
import { isHash } from './keys.ts';
import { OBJECT_BYTES_MAX, OBJECT_PLAIN_BYTES_MAX, type ObjectPlace, PACK_BYTES_MAX } from './pack.ts';
import { formatTimestamp } from './time.ts';

export const MANIFEST_LINE_BYTES_MAX = 64 * 1024;

/** Where something lies in the store: which pack, and where in it. */
export interface PackPlace extends ObjectPlace {
  /** BLAKE3 of the pack, 64 hex digits. */
  readonly pack: string;
}

export interface ManifestHeader {
  /** 64 hex digits, as SpacetimeDB prints it. */
  readonly databaseIdentity: string;
  readonly replicaId: bigint;
  /** The snapshot's own transaction: the state after it. */
  readonly tx: TxOffset;
  /** The line's time at the commit that holds `tx`. */
  readonly time: Micros;
  /** The `.snapshot_bsatn` file. */
  readonly snapshotFile: PackPlace;
  /** A segment of one commit, the one that holds `tx`; null where the log no longer had it. */
  readonly commit: PackPlace | null;
  /** Pages and blobs, each counted once. */
  readonly objects: number;
  /** Of these objects. */
  readonly plainBytes: number;
  /** Distinct packs, those of `snapshotFile` and `commit` included. */
  readonly packs: number;
}

export interface PackedObject extends ObjectPlace {
  /** The object's name in SpacetimeDB's snapshot, 64 hex digits. */
  readonly hash: string;
}

/** One line: some of the objects that this snapshot has in one pack; none where only the header points into it. */
export interface PackLine {
  readonly pack: string;
  /** Of the whole pack. */
  readonly bytes: number;
  readonly objects: readonly PackedObject[];
}

const placeToJson = ({ pack, offset, length, plainLength }: PackPlace): JsonObject => ({
  pack,
  offset,
  length,
  plainLength,
});

export const headerToJson = (header: ManifestHeader): JsonObject => ({
  format: FORMAT_VERSION,
  databaseIdentity: header.databaseIdentity,
  replicaId: header.replicaId.toString(),
  tx: header.tx.toString(),
  time: formatTimestamp(header.time),
  snapshotFile: placeToJson(header.snapshotFile),
  commit: header.commit && placeToJson(header.commit),
  objects: header.objects,
  plainBytes: header.plainBytes,
  packs: header.packs,
});

const isLength = (value: JsonValue | undefined, max: number): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= max;

/** Frames have a header: none is empty. */
const isPlace = ({ offset, length, plainLength }: ObjectPlace, packBytes: number): boolean =>
  isLength(offset, packBytes) &&
  isLength(length, OBJECT_BYTES_MAX) &&
  isLength(plainLength, OBJECT_PLAIN_BYTES_MAX) &&
  length > 0 &&
  offset + length <= packBytes;

function readPlace(fields: DocumentFields): PackPlace {
  const place = {
    pack: readHash(fields, 'pack'),
    offset: fields.count('offset'),
    length: fields.count('length'),
    plainLength: fields.count('plainLength'),
  };
  return isPlace(place, PACK_BYTES_MAX) ? place : fields.fail('length', 'is impossible');
}

/** @throws CorruptionError */
export function readHeader(fields: DocumentFields): ManifestHeader {
  return {
    databaseIdentity: readHash(fields, 'databaseIdentity'),
    replicaId: fields.u64('replicaId'),
    tx: fields.tx('tx'),
    time: fields.time('time'),
    snapshotFile: readPlace(fields.object('snapshotFile')),
    commit: fields.nullable('commit', (member) => readPlace(fields.object(member))),
    objects: fields.count('objects'),
    plainBytes: fields.count('plainBytes'),
    packs: fields.count('packs'),
  };
}

/** @throws CorruptionError */
export function readPackLine(fields: DocumentFields): PackLine {
  const pack = readHash(fields, 'pack');
  const bytes = fields.count('bytes');
  if (bytes > PACK_BYTES_MAX) fields.fail('bytes', `is more than ${PACK_BYTES_MAX}`);
  const objects = fields.list('objects').map((item): PackedObject => {
    if (!Array.isArray(item) || item.length !== 4) return fields.fail('objects', 'holds something malformed');
    const [hash, offset, length, plainLength] = item as readonly JsonValue[];
    const place = { offset, length, plainLength } as ObjectPlace;
    if (typeof hash !== 'string' || !isHash(hash) || !isPlace(place, bytes)) {
      return fields.fail('objects', 'holds an impossible place');
    }
    return { hash, ...place };
  });
  return { pack, bytes, objects };
}

/**
 * What the lines must add up to; the same for writer and reader. Each method tells what is wrong, or null.
 */
export class ManifestTotals {
  readonly #header: ManifestHeader;
  readonly #packs = new Map<string, number>();
  #current = '';
  #objects = 0;
  #plainBytes = 0;

  constructor(header: ManifestHeader) {
    this.#header = header;
  }

  add({ pack, bytes, objects }: PackLine): string | null {
    if (pack !== this.#current) {
      if (this.#packs.has(pack)) return `names pack ${pack} in lines that do not follow each other`;
      this.#packs.set(pack, bytes);
      this.#current = pack;
    } else if (this.#packs.get(pack) !== bytes) {
      return `gives pack ${pack} two lengths`;
    }
    this.#objects += objects.length;
    for (const { plainLength } of objects) this.#plainBytes += plainLength;
    const header = this.#header;
    const isWithin =
      this.#objects <= header.objects && this.#plainBytes <= header.plainBytes && this.#packs.size <= header.packs;
    return isWithin ? null : 'names more objects, bytes or packs than its header says';
  }

  end(): string | null {
    const { objects, plainBytes, packs, snapshotFile, commit } = this.#header;
    if (this.#objects !== objects || this.#plainBytes !== plainBytes || this.#packs.size !== packs) {
      return 'names fewer objects, bytes or packs than its header says';
    }
    for (const place of [snapshotFile, ...(commit ? [commit] : [])]) {
      const bytes = this.#packs.get(place.pack);
      if (bytes === undefined || !isPlace(place, bytes)) return `has no line that fits the header's pack ${place.pack}`;
    }
    return null;
  }
}
