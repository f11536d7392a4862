/**
 * Invariant: keys of a server's backup come back from parsing as they were made; nothing that is not exactly of their
 * shape is taken for one of them. Text order of images is the order of their times.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { micros, U64_MAX } from '../core/types.ts';
import { generationKey, HEAD_KEY, makeGenerationName } from './keys.ts';
import {
  IMAGE_FILES_MAX,
  imageFileKey,
  imageManifestKey,
  imagePosition,
  makeImageName,
  parseImageName,
  parseRootKey,
  parseServerKey,
  programKey,
  replicaPrefix,
} from './server-keys.ts';
import { TIME_MAX } from './time.ts';

const hex = (digits: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: digits, maxLength: digits });
const image = fc
  .record({ time: fc.bigInt({ min: 0n, max: TIME_MAX }).map(micros), hash: hex(16) })
  .map(({ time, hash }) => makeImageName(time, hash));
const generation = fc
  .record({ number: fc.integer({ min: 1, max: 99_999_999 }), suffix: hex(8) })
  .map(({ number, suffix }) => makeGenerationName(number, suffix));

const remake = (parsed: NonNullable<ReturnType<typeof parseServerKey>>): string => {
  switch (parsed.kind) {
    case 'image':
      return imageManifestKey(parsed.generation, parsed.image.name);
    case 'image-file':
      return imageFileKey(parsed.generation, parsed.image.name, parsed.index);
    case 'program':
      return programKey(parsed.hash);
    case 'generation':
      return generationKey(parsed.generation);
    case 'head':
      return HEAD_KEY;
  }
};

describe('keys below server/', () => {
  test('what is made is parsed', () => {
    fc.assert(
      fc.property(generation, image, fc.integer({ min: 0, max: IMAGE_FILES_MAX - 1 }), hex(64), (name, at, n, hash) => {
        expect(parseServerKey(imageFileKey(name, at.name, n))).toEqual({
          kind: 'image-file',
          generation: name,
          image: at,
          index: n,
        });
        expect(parseServerKey(imageManifestKey(name, at.name))).toEqual({ kind: 'image', generation: name, image: at });
        expect(parseServerKey(programKey(hash))).toEqual({ kind: 'program', hash });
        expect(parseServerKey(generationKey(name))).toEqual({ kind: 'generation', generation: name });
        expect(parseImageName(at.name)).toEqual(at);
      }),
    );
    expect(parseServerKey(HEAD_KEY)).toEqual({ kind: 'head' });
  });

  test('one changed, added or removed character: another key of ours, or foreign, and never the same', () => {
    const key = fc
      .tuple(generation, image, hex(64), fc.nat(500))
      .chain(([name, at, hash, n]) =>
        fc.constantFrom(imageFileKey(name, at.name, n), imageManifestKey(name, at.name), programKey(hash)),
      );
    const edit = fc.record({
      at: fc.nat(),
      remove: fc.integer({ min: 0, max: 1 }),
      insert: fc.constantFrom('', '/', '.', '0', 'A', '\n', '-', '..'),
    });
    fc.assert(
      fc.property(key, edit, (text, { at, remove, insert }) => {
        const place = at % text.length;
        const changed = text.slice(0, place) + insert + text.slice(place + remove);
        const parsed = parseServerKey(changed);
        if (changed === text || parsed === null) return;
        expect(remake(parsed)).toBe(changed);
      }),
      { numRuns: 2000 },
    );
  });

  test.each([
    'format.json',
    'server/head.json',
    'generations/00000001-1a2b3c4d/log/0/00000000000000000000/x.zst',
    'generations/00000001-1a2b3c4d/snapshots/00000000000000000180/manifest.ndjson.zst',
    'generations/00000000-1a2b3c4d/images/20261121T083004.141504Z-0123456789abcdef/0.zst',
    'generations/00000001-1a2b3c4d/images/20261131T083004.141504Z-0123456789abcdef/0.zst',
    'generations/00000001-1a2b3c4d/images/20261121T083004.141504Z-0123456789abcdef/00.zst',
    'generations/00000001-1a2b3c4d/images/20261121T083004.141504Z-0123456789abcdef/100000.zst',
    'generations/00000001-1a2b3c4d/images/20261121T083004.141504Z-0123456789ABCDEF/0.zst',
    'generations/00000001-1a2b3c4d/images/../manifest.json',
    'program-bytes/bf/ee21',
    `program-bytes/BF/${'0'.repeat(62)}`,
    `program-bytes/bf/${'0'.repeat(62)}.tmp12345`,
    '',
  ])('foreign: %s', (key) => {
    expect(parseServerKey(key)).toBeNull();
  });

  test('images sort by time, and so do their points in the line', () => {
    fc.assert(
      fc.property(image, image, (a, b) => {
        if (a.time === b.time) return;
        expect(a.name < b.name).toBe(a.time < b.time);
        expect(imagePosition(a).tx < imagePosition(b).tx).toBe(a.time < b.time);
      }),
    );
    expect(imagePosition(makeImageName(micros(7n), '0123456789abcdef'))).toEqual({ tx: 7n, crc: 0x0123_4567 });
  });
});

describe('keys below the root', () => {
  test('a replica directory', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: U64_MAX }), (replicaId) => {
        expect(parseRootKey(`${replicaPrefix(replicaId)}head.json`)).toEqual({
          kind: 'replica',
          replicaId,
          key: 'head.json',
        });
      }),
    );
  });

  test('the server, the format, and what is foreign', () => {
    expect(parseRootKey('format.json')).toEqual({ kind: 'format' });
    expect(parseRootKey('server/head.json')).toEqual({ kind: 'server', key: 'head.json' });
    for (const key of [
      'head.json',
      'replicas/01/head.json',
      `replicas/${U64_MAX + 1n}/head.json`,
      'replicas/1',
      'replicas/../x',
      '',
    ]) {
      expect(parseRootKey(key), key).toBeNull();
    }
    expect(() => replicaPrefix(U64_MAX + 1n)).toThrow('u64');
  });
});
