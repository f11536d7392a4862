/**
 * The file that makes a snapshot: which database, at which transaction, and the hash of every object that belongs to it.
 * Source: FORMAT.md, "Snapshot file".
 */
import { Blake3, blake3Hex } from '../core/checksum.ts';
import { CorruptionError, UnsupportedFormatError } from '../core/errors.ts';
import { type TxOffset, txOffset } from '../core/types.ts';
import { BsatnReader, MalformedBsatn } from './bsatn-reader.ts';

export const HASH_BYTES = 32;
export const SNAPSHOT_MAGIC = 'txyz';
export const SNAPSHOT_VERSION = 0;
/** Fixed part after the hash: magic, version, identity, replica id, ABI version, tx offset, two counts. */
export const SNAPSHOT_FIXED_BYTES = 4 + 4 + 1 + 32 + 8 + 4 + 4 + 8 + 4 + 4;
/** Enough for 7 million pages, 480 GB of rows. */
export const SNAPSHOT_FILE_BYTES_MAX = 256 * 1024 * 1024;
const HASH_ENTRY_BYTES = 4 + HASH_BYTES;
const ABSENT_PAGE = '0'.repeat(2 * HASH_BYTES);

export interface SnapshotBlob {
  /** 64 lower-case hex digits, as all hashes here. */
  readonly hash: string;
  /** How many rows use it. */
  readonly uses: number;
}

export interface SnapshotTable {
  readonly id: number;
  /** Null where a table has no page at that place (newest servers only): no object belongs to it. */
  readonly pages: readonly (string | null)[];
}

export interface Snapshot {
  /** 64 hex digits as SpacetimeDB prints an identity: the bytes in reverse order. */
  readonly databaseIdentity: string;
  readonly replicaId: bigint;
  /** The snapshot is of the state after this transaction. */
  readonly txOffset: TxOffset;
  readonly moduleAbiVersion: readonly [major: number, minor: number];
  readonly blobs: readonly SnapshotBlob[];
  readonly tables: readonly SnapshotTable[];
}

export type ObjectKind = 'page' | 'blob';

export interface SnapshotObject {
  readonly hash: string;
  readonly kind: ObjectKind;
}

export interface SnapshotContext {
  /** The file's path or key, for messages. */
  readonly path?: string;
}

const hexOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');

/**
 * Decodes a snapshot file's plain bytes and proves its own hash; the objects that it names are not looked at.
 *
 * @throws CorruptionError when the hash of the content is another one
 * @throws UnsupportedFormatError when the content is what was written, and yet is not of the known form
 */
export function decodeSnapshotFile(bytes: Uint8Array, { path = 'the snapshot file' }: SnapshotContext = {}): Snapshot {
  const content = bytes.subarray(HASH_BYTES);
  if (bytes.byteLength < HASH_BYTES || blake3Hex(content) !== hexOf(bytes.subarray(0, HASH_BYTES))) {
    throw new CorruptionError(`${path} does not have the hash that it begins with`, { facts: { path } });
  }
  try {
    return decodeContent(new BsatnReader(content));
  } catch (cause) {
    if (!(cause instanceof MalformedBsatn)) throw cause;
    throw new UnsupportedFormatError(`${path} is a snapshot of a form that is not known: ${cause.message}`, {
      cause,
      hint: 'A newer SpacetimeDB may have written it: use a release of stdb-replicate that knows this form.',
      facts: { path },
    });
  }
}

function decodeContent(reader: BsatnReader): Snapshot {
  const magic = hexOf(reader.fixedBytes(SNAPSHOT_MAGIC.length));
  if (magic !== Buffer.from(SNAPSHOT_MAGIC).toString('hex')) throw new MalformedBsatn(`magic 0x${magic}`);
  const version = reader.u8();
  if (version !== SNAPSHOT_VERSION) throw new MalformedBsatn(`version ${version}`);
  const databaseIdentity = Buffer.from(reader.bytes(HASH_BYTES)).reverse().toString('hex');
  const replicaId = reader.u64();
  const abiParts = reader.u32();
  if (abiParts !== 2) throw new MalformedBsatn(`a module ABI version of ${abiParts} parts`);
  const moduleAbiVersion = [reader.u16(), reader.u16()] as const;
  const tx = txOffset(reader.u64());
  const blobs = Array.from({ length: reader.count(HASH_ENTRY_BYTES + 4) }, () => ({
    hash: hexOf(reader.fixedBytes(HASH_BYTES)),
    uses: reader.u32(),
  }));
  const tables = Array.from({ length: reader.count(8) }, () => ({
    id: reader.u32(),
    pages: Array.from({ length: reader.count(HASH_ENTRY_BYTES) }, () => {
      const hash = hexOf(reader.fixedBytes(HASH_BYTES));
      return hash === ABSENT_PAGE ? null : hash;
    }),
  }));
  reader.requireEnd();
  return { databaseIdentity, replicaId, txOffset: tx, moduleAbiVersion, blobs, tables };
}

/** Each object of the snapshot once, in the order of the file: blobs, then the tables' pages. */
export function listObjects(snapshot: Snapshot): SnapshotObject[] {
  const objects = new Map<string, SnapshotObject>();
  const add = (hash: string, kind: ObjectKind): void => {
    if (!objects.has(hash)) objects.set(hash, { hash, kind });
  };
  for (const { hash } of snapshot.blobs) add(hash, 'blob');
  for (const { pages } of snapshot.tables) for (const hash of pages) if (hash !== null) add(hash, 'page');
  return [...objects.values()];
}

/** The file's bytes with their hash before them: the inverse of `decodeSnapshotFile`. */
export function encodeSnapshotFile(snapshot: Snapshot): Uint8Array {
  const u32 = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    return bytes;
  };
  const u64 = (value: bigint): Buffer => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(value);
    return bytes;
  };
  const hash = (hex: string): Buffer => Buffer.concat([u32(HASH_BYTES), Buffer.from(hex, 'hex')]);
  const [major, minor] = snapshot.moduleAbiVersion;
  const content = Buffer.concat([
    u32(SNAPSHOT_MAGIC.length),
    Buffer.from(SNAPSHOT_MAGIC, 'ascii'),
    Buffer.of(SNAPSHOT_VERSION),
    Buffer.from(snapshot.databaseIdentity, 'hex').reverse(),
    u64(snapshot.replicaId),
    u32(2),
    Buffer.of(major & 0xff, major >> 8, minor & 0xff, minor >> 8),
    u64(snapshot.txOffset),
    u32(snapshot.blobs.length),
    ...snapshot.blobs.flatMap((blob) => [hash(blob.hash), u32(blob.uses)]),
    u32(snapshot.tables.length),
    ...snapshot.tables.flatMap(({ id, pages }) => [
      u32(id),
      u32(pages.length),
      ...pages.map((page) => hash(page ?? ABSENT_PAGE)),
    ]),
  ]);
  return Buffer.concat([new Blake3().update(content).digest(), content]);
}
