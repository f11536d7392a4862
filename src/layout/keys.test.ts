/**
 * Invariant: every key is parsed into exactly what made it; nothing else parses, however near; listings of keys sort as
 * readers rely on.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crc32cValue, micros, txOffset, U64_MAX } from '../core/types.ts';
import {
  FORMAT_KEY,
  generationKey,
  generationPrefix,
  type GenerationName,
  HEAD_KEY,
  logKeysAfter,
  logObjectKey,
  logPrefix,
  type LogObjectName,
  makeGenerationName,
  manifestKey,
  packKey,
  parseGenerationName,
  parseKey,
  snapshotsPrefix,
} from './keys.ts';
import { TIME_MAX, TIME_MIN } from './time.ts';

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length });
const tx = fc.oneof(fc.bigInt({ min: 0n, max: 1000n }), fc.bigInt({ min: 0n, max: U64_MAX })).map(txOffset);
const generation = fc
  .tuple(fc.integer({ min: 1, max: 99_999_999 }), hex(8))
  .map(([number, suffix]) => makeGenerationName(number, suffix));
const logName: fc.Arbitrary<LogObjectName> = fc
  .record({
    generation,
    level: fc.integer({ min: 0, max: 9 }),
    offsets: fc.tuple(tx, tx, tx),
    time: fc.bigInt({ min: TIME_MIN, max: TIME_MAX }).map(micros),
    prev: u32.map(crc32cValue),
    crc: u32.map(crc32cValue),
  })
  .map(({ offsets, ...rest }) => {
    const [segment, first, last] = offsets.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0)) as typeof offsets;
    return { ...rest, segment, first, last };
  });
const compareUtf8 = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

describe('keys', () => {
  test('every key comes back', () => {
    fc.assert(
      fc.property(logName, generation, tx, hex(64), (name, other, at, hash) => {
        expect(parseKey(logObjectKey(name))).toEqual({ kind: 'log', name });
        expect(parseKey(generationKey(other))).toEqual({ kind: 'generation', generation: other });
        expect(parseKey(manifestKey(other, at))).toEqual({ kind: 'manifest', generation: other, tx: at });
        expect(parseKey(packKey(hash))).toEqual({ kind: 'pack', hash });
      }),
    );
    expect(parseKey(FORMAT_KEY)).toEqual({ kind: 'format' });
    expect(parseKey(HEAD_KEY)).toEqual({ kind: 'head' });
  });

  test('what parses is made again, to the letter, whatever was done to a key', () => {
    const char = fc.oneof(
      fc.constantFrom(...'0123456789abcdefABCDEFTZ-./~ \n'),
      fc.string({ minLength: 1, maxLength: 1 }),
    );
    fc.assert(
      fc.property(logName, fc.nat(), char, fc.boolean(), (name, where, letter, insert) => {
        const key = logObjectKey(name);
        const at = where % key.length;
        const changed = key.slice(0, at) + letter + key.slice(insert ? at : at + 1);
        const parsed = parseKey(changed);
        if (parsed !== null) expect(parsed.kind === 'log' && logObjectKey(parsed.name)).toBe(changed);
      }),
      { numRuns: 1000 },
    );
  });

  const g = makeGenerationName(1, '1a2b3c4d');
  const at = (digits: string): string => digits.padStart(20, '0');
  const name = (first: string, last: string, time = '20261121T074010.123456Z'): string =>
    `${at(first)}-${at(last)}.${time}.00000000-6869d232.zst`;
  const log = `generations/${g}/log/0/${at('0')}/`;
  test.for([
    '',
    'format.json/',
    '/format.json',
    'FORMAT.JSON',
    'head.json.age',
    'generations/00000000-1a2b3c4d/generation.json',
    'generations/00000001-1A2B3C4D/generation.json',
    'generations/1-1a2b3c4d/generation.json',
    'generations/../generation.json',
    `generations/${g}/../generation.json`,
    `generations/${g}//generation.json`,
    `generations/${g}/log/10/${at('0')}/${name('0', '9')}`,
    `generations/${g}/log/-/${at('0')}/${name('0', '9')}`,
    `generations/${g}/log/0/${at('5')}/${name('0', '9')}`,
    `${log}${name('9', '0')}`,
    `${log}${name('0', '18446744073709551616')}`,
    `${log}${name('0', '9', '20260229T000000.000000Z')}`,
    `${log}${name('0', '9')}.age`,
    `${log}x/${name('0', '9')}`,
    `${log}${name('0', '9')}\n`,
    `generations/${g}/snapshots/${at('18446744073709551616')}/manifest.ndjson.zst`,
    `generations/${g}/snapshots/${at('1')}/manifest.ndjson`,
    `packs/ab/${'a'.repeat(64)}.pack`,
    `packs/aa/${'a'.repeat(63)}.pack`,
    `packs/aa/${'A'.repeat(64)}.pack`,
    `packs/a/${'a'.repeat(64)}.pack`,
    'lost+found',
  ])('%j is foreign', (key) => {
    expect(parseKey(key)).toBeNull();
  });

  test('golden', () => {
    expect(parseKey(`${log}${name('0', '299')}`)).toMatchObject({ kind: 'log', name: { generation: g, last: 299n } });
    expect(logPrefix(g)).toBe(`generations/${g}/log/`);
    expect(snapshotsPrefix(g)).toBe(`generations/${g}/snapshots/`);
  });
});

describe('order', () => {
  test('behind logKeysAfter come later objects of that segment, then segments, levels and snapshots, and nothing else', () => {
    const small = fc.bigInt({ min: 0n, max: 2n }).map(txOffset);
    fc.assert(
      fc.property(
        logName,
        small,
        small,
        fc.integer({ min: -1, max: 1 }),
        small,
        small,
        (made, first, more, higher, segment, after) => {
          const level = Math.min(9, Math.max(0, made.level + higher));
          const name = { ...made, segment: first, first: txOffset(first + more), last: txOffset(first + more + 1n) };
          const start = logKeysAfter(made.generation, { level, segment, tx: after });
          const [a, b] = [name.level - level, Number(name.segment - segment)];
          const isBehind = a > 0 || (a === 0 && (b > 0 || (b === 0 && name.first > after)));
          expect(compareUtf8(logObjectKey(name), start) > 0).toBe(isBehind);
          expect(compareUtf8(manifestKey(made.generation, after), start)).toBeGreaterThan(0);
          expect(compareUtf8(generationKey(made.generation), start)).toBeLessThan(0);
          expect(start.startsWith(generationPrefix(made.generation))).toBe(true);
        },
      ),
      { numRuns: 1000 },
    );
  });
});

describe('names of generations', () => {
  test('come back, and have bounds', () => {
    expect(parseGenerationName('00000042-00000000')).toEqual({
      number: 42,
      suffix: '00000000',
      name: '00000042-00000000',
    });
    for (const wrong of ['00000000-1a2b3c4d', '1-1a2b3c4d', '00000001-1a2b3c4', '00000001-1a2b3c4d\n']) {
      expect(parseGenerationName(wrong)).toBeNull();
    }
    expect(() => makeGenerationName(0, '1a2b3c4d')).toThrow();
    expect(() => makeGenerationName(100_000_000, '1a2b3c4d')).toThrow();
    expect(() => makeGenerationName(1, '1A2b3c4d')).toThrow();
  });

  test('an object out of order, a level of two digits, a hash that is none: our bugs', () => {
    const g = makeGenerationName(1, '1a2b3c4d') satisfies GenerationName;
    const zero = { generation: g, level: 0, segment: txOffset(0), first: txOffset(0), last: txOffset(0) };
    const rest = { time: micros(0n), prev: crc32cValue(0), crc: crc32cValue(0) };
    expect(() => logObjectKey({ ...zero, ...rest, level: 10 })).toThrow();
    expect(() => logObjectKey({ ...zero, ...rest, segment: txOffset(1) })).toThrow();
    expect(() => logObjectKey({ ...zero, ...rest, first: txOffset(1), segment: txOffset(1) })).toThrow();
    expect(() => packKey('../x')).toThrow();
  });
});
