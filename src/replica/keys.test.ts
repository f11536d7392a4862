/** Invariants: keys sort as their UTF-8 bytes do; nothing that a file system could misread is a key. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AssertionError } from '../core/errors.ts';
import { compareKeys, isKeyPart, keyParts } from './keys.ts';

test('the order is that of UTF-8 bytes', () => {
  const text = fc.string({ unit: 'binary', maxLength: 8 });
  fc.assert(
    fc.property(text, text, (a, b) => {
      expect(Math.sign(compareKeys(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
    }),
    {
      numRuns: 2000,
      examples: [
        ['\u{1f600}', '\ufb00'],
        ['a', 'a\u{1f600}'],
      ],
    },
  );
});

test.each(['a', '00000001-0000abcd', 'x.pack', 'a b', 'ü', '20261121T074010.123456Z', 'x'.repeat(255)])(
  'a part: %j',
  (part) => {
    expect(isKeyPart(part)).toBe(true);
    expect(keyParts(`a/${part}`)).toEqual(['a', part]);
  },
);

test.each(['', '.', '..', '.hidden', 'a/b', 'a\\b', 'a\0', 'a\n', '\u007f', 'x'.repeat(256), 'ü'.repeat(128)])(
  'no part: %j',
  (part) => {
    expect(isKeyPart(part)).toBe(false);
  },
);

test.each(['', '/', 'a//b', '/a', 'a/', '../a', 'a/..', `${'a/'.repeat(600)}b`])('no key: %j', (key) => {
  expect(() => keyParts(key)).toThrow(AssertionError);
});
