/** The same bytes fed in every kind of pieces: whole, one by one, and cut at given places. */
import fc from 'fast-check';

export async function* feed(pieces: Iterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  for (const piece of pieces) yield piece;
}

export const byteByByte = (bytes: Uint8Array): Uint8Array[] =>
  Array.from(bytes, (_, index) => bytes.subarray(index, index + 1));

/** Cut after each of `lengths` in turn, again and again; a length of 0 gives an empty piece. */
export function cutInto(bytes: Uint8Array, lengths: readonly number[]): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  const isEndless = lengths.every((length) => length === 0);
  for (let at = 0, turn = 0; at < bytes.byteLength; turn++) {
    const length = isEndless ? bytes.byteLength : (lengths[turn % lengths.length] ?? 0);
    pieces.push(bytes.subarray(at, at + length));
    at += length;
  }
  return pieces;
}

export const pieceLengths: fc.Arbitrary<number[]> = fc.array(fc.nat({ max: 5000 }), { maxLength: 5 });

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

export async function collectBytes(items: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await collect(items));
}

/** Bytes that compress a little, from a seed. */
export function noise(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed >>> 0 || 1;
  for (let index = 0; index < length; index++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[index] = (state >>> 24) & 0x3f;
  }
  return bytes;
}
