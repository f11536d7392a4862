/**
 * Invariant: the hash is Keccak-256, for input of any length in any pieces, and it is what SpacetimeDB names programs
 * by: the program in the vector has it as its name.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { vectorDirectory } from '../../test/vectors/vectors.ts';
import { Keccak256 } from './keccak.ts';
import { formatProgramPath } from './server-files.ts';

test('published values', () => {
  const hash = (text: string): string => new Keccak256().update(Buffer.from(text)).digestHex();
  // Known from Ethereum, which uses the same function.
  expect(hash('')).toBe('c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470');
  expect(hash('testing')).toBe('5f16f4c7f149ac4f9510d9cf8cf384038ad348b3bcdc01915f95de12df9d1b02');
});

test('with the padding of SHA3-256 it is what OpenSSL makes of any bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 700 }), fc.nat(700), (bytes, cut) => {
      const hash = new Keccak256({ padding: 0x06 }).update(bytes.subarray(0, cut)).update(bytes.subarray(cut));
      expect(hash.digestHex()).toBe(createHash('sha3-256').update(bytes).digest('hex'));
    }),
    { numRuns: 300 },
  );
});

test("a server's program", () => {
  const hash = 'bfee21bc0841f79ebb4b9577c0bbca75447c13190559dbbf9161a961ef114be0';
  const bytes = readFileSync(join(vectorDirectory('server-2.8'), formatProgramPath(hash)));
  expect(new Keccak256().update(bytes).digestHex()).toBe(hash);
});
