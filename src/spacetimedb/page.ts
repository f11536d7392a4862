/** Snapshot objects: what their names prove. Source: FORMAT.md, "Page" and "Blob". */
import { Blake3, blake3Hex } from '../core/checksum.ts';
import { CorruptionError } from '../core/errors.ts';
import { BsatnReader, MalformedBsatn } from './bsatn-reader.ts';
import { HASH_BYTES, type SnapshotObject } from './snapshot-file.ts';

/** next_free, last, num_rows: u16 each. They are hashed with the rows. */
export const PAGE_FIXED_HEADER_BYTES = 6;
export const PAGE_VAR_HEADER_BYTES = 8;
export const PAGE_ROW_DATA_BYTES = 65_472;
/** No page's file is longer: its rows, and room for any bit set. */
export const PAGE_BYTES_MAX = 128 * 1024;

interface Page {
  /** What the page's name is the hash of. */
  readonly computed: string;
  /** The hash that the page holds of itself; null when it holds none. */
  readonly claimed: string | null;
}

function readPage(bytes: Uint8Array): Page {
  const reader = new BsatnReader(bytes);
  const fixedHeader = reader.bytes(PAGE_FIXED_HEADER_BYTES);
  const bitSet = reader.bytes(8 * reader.count(8));
  const varHeader = reader.bytes(PAGE_VAR_HEADER_BYTES);
  const tag = reader.u8();
  if (tag > 1) throw new MalformedBsatn(`tag ${tag} before the page's own hash`);
  const claimed = tag === 0 ? Buffer.from(reader.fixedBytes(HASH_BYTES)).toString('hex') : null;
  const rows = reader.fixedBytes(PAGE_ROW_DATA_BYTES);
  reader.requireEnd();
  const computed = new Blake3().update(rows).update(fixedHeader).update(bitSet).update(varHeader).digestHex();
  return { computed, claimed };
}

/**
 * The name that a page's file of these (plain) bytes has: 64 hex digits.
 *
 * @throws CorruptionError when they are no page
 */
export function hashPage(bytes: Uint8Array): string {
  try {
    return readPage(bytes).computed;
  } catch (cause) {
    if (!(cause instanceof MalformedBsatn)) throw cause;
    throw new CorruptionError(`not a page of a snapshot: ${cause.message}`, { cause });
  }
}

/**
 * Proves that the plain `bytes` are the object of that name. A page's own copy of its hash lies outside of what the hash
 * covers: it must agree, so that every byte of the file is proven.
 *
 * @throws CorruptionError
 */
export function checkObject({ kind, hash, bytes }: SnapshotObject & { readonly bytes: Uint8Array }): void {
  const reason = kind === 'blob' ? blobProblem(hash, bytes) : pageProblem(hash, bytes);
  if (reason === null) return;
  throw new CorruptionError(`${kind} ${hash} of a snapshot is not what its name says: ${reason}`, {
    facts: { kind, hash },
  });
}

function blobProblem(hash: string, bytes: Uint8Array): string | null {
  const found = blake3Hex(bytes);
  return found === hash ? null : `its hash is ${found}`;
}

function pageProblem(hash: string, bytes: Uint8Array): string | null {
  try {
    const { computed, claimed } = readPage(bytes);
    if (computed !== hash) return `its hash is ${computed}`;
    return claimed === null || claimed === hash ? null : `it says of itself that its hash is ${claimed}`;
  } catch (error) {
    if (error instanceof MalformedBsatn) return error.message;
    throw error;
  }
}
