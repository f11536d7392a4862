/** A compiled module is named by the hash of its bytes. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CorruptionError } from '../core/errors.ts';
import { Keccak256 } from './keccak.ts';

/** Hashed between two turns of the event loop: some 15 ms. */
const HASH_BYTES = 256 * 1024;

/** The name of a program with these bytes: Keccak-256, 64 hex digits. Lets other work go on meanwhile. */
export async function programHash(
  bytes: Uint8Array,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<string> {
  const hash = new Keccak256();
  for (let at = 0; at < bytes.byteLength; at += HASH_BYTES) {
    if (at > 0) await nextTurn();
    signal?.throwIfAborted();
    hash.update(bytes.subarray(at, at + HASH_BYTES));
  }
  return hash.digestHex();
}

/** @throws CorruptionError when `bytes` are not the program of that name: half written, or damaged */
export async function checkProgram(
  hash: string,
  bytes: Uint8Array,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<void> {
  const actual = await programHash(bytes, options);
  if (actual === hash) return;
  throw new CorruptionError(`program ${hash} has ${bytes.byteLength} bytes with the hash ${actual}`, {
    hint: 'Publish the module again, or bring the file back from a copy: a server cannot start its database without it.',
    facts: { hash },
  });
}
