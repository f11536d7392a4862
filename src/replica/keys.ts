/** What every store asks of keys: their order, and which of them can be names of files too. */
import { assert } from '../core/errors.ts';

const isSurrogate = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdfff;

/**
 * The order of listings: by UTF-8 bytes. JavaScript compares UTF-16 units, which differ from it in one point only:
 * surrogates (characters beyond U+FFFF) sort after every other unit.
 */
export function compareKeys(a: string, b: string): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i += 1) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    if (isSurrogate(x) !== isSurrogate(y)) return isSurrogate(x) ? 1 : -1;
    return x - y;
  }
  return a.length - b.length;
}

/** A part of a key: no control characters, no `\`, no dot in front (so neither `..` nor our temporaries), no blank end. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it refuses
const PART = /^[^\u0000-\u001f\u007f/\\.][^\u0000-\u001f\u007f/\\]*$/u;
const PART_BYTES_MAX = 255;
const KEY_BYTES_MAX = 1024;

/** Whether `part` may stand between the slashes of a key, in every store. */
export const isKeyPart = (part: string): boolean => PART.test(part) && Buffer.byteLength(part) <= PART_BYTES_MAX;

/** The parts of `key`. Keys are made in `layout/` alone: one of another shape is a bug, and is never used as a path. */
export function keyParts(key: string): readonly string[] {
  const parts = key.split('/');
  assert(parts.every(isKeyPart) && Buffer.byteLength(key) <= KEY_BYTES_MAX, `not a key: ${JSON.stringify(key)}`);
  return parts;
}
