/**
 * Invariant: a manifest gives back its header and every place, whatever pieces it arrives in; one that is changed, cut,
 * or does not add up is refused by name before it counts as read.
 */
import * as zlib from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { byteByByte, collectBytes, cutInto, feed, pieceLengths } from '../../test/support/pieces.ts';
import { blake3Hex } from '../core/checksum.ts';
import { AssertionError, CorruptionError, UnsupportedFormatError } from '../core/errors.ts';
import { micros, txOffset, U64_MAX } from '../core/types.ts';
import { encodeFrameSync } from '../zstd/frame.ts';
import { MANIFEST_LINE_BYTES_MAX, type ManifestHeader, type PackLine } from './manifest.ts';
import { decodeManifest, encodeManifest, MANIFEST_LINE_OBJECTS_MAX } from './manifest-stream.ts';
import { OBJECT_BYTES_MAX, OBJECT_PLAIN_BYTES_MAX, PACK_BYTES_MAX } from './pack.ts';

const key = 'generations/00000001-1a2b3c4d/snapshots/x/manifest.ndjson.zst';
const hashOf = (number: number): string => blake3Hex(Buffer.from(String(number)));

const made = fc
  .record({
    packs: fc.array(fc.nat({ max: 900 }), { maxLength: 5 }),
    replicaId: fc.bigInt({ min: 0n, max: U64_MAX }),
    tx: fc.bigInt({ min: 0n, max: U64_MAX }).map(txOffset),
    time: fc.bigInt({ min: 0n, max: 2n ** 55n }).map(micros),
    hasCommit: fc.boolean(),
    plainLength: fc.nat({ max: OBJECT_PLAIN_BYTES_MAX }),
  })
  .map(({ packs: counts, hasCommit, plainLength, ...rest }) => {
    const packs: PackLine[] = [0, ...counts].map((count, index) => ({
      pack: hashOf(index),
      bytes: 1000 + count * 64,
      objects: Array.from({ length: count }, (_, at) => ({
        hash: hashOf(at),
        offset: at * 64,
        length: 64,
        plainLength,
      })),
    }));
    const objects = counts.reduce((sum, count) => sum + count, 0);
    const place = { pack: hashOf(0), offset: 100, length: 900, plainLength: 5000 };
    const header: ManifestHeader = {
      ...rest,
      databaseIdentity: 'c2'.repeat(32),
      snapshotFile: place,
      commit: hasCommit ? { ...place, offset: 0, length: 50 } : null,
      objects,
      plainBytes: objects * plainLength,
      packs: packs.length,
    };
    return { header, packs };
  });
const [sample] = fc.sample(made, { numRuns: 1, seed: 3 }) as [{ header: ManifestHeader; packs: PackLine[] }];

const encode = (manifest: { header: ManifestHeader; packs: PackLine[] }): Promise<Buffer> =>
  collectBytes(encodeManifest(manifest, { level: 1 }));

/** Header and packs, with the lines of one pack joined. */
async function decode(bytes: Uint8Array, pieces: Iterable<Uint8Array> = [bytes]) {
  const reader = await decodeManifest(feed(pieces), { key, size: bytes.byteLength });
  const packs: PackLine[] = [];
  for await (const line of reader.packs) {
    const last = packs.at(-1);
    if (last?.pack === line.pack) packs[packs.length - 1] = { ...last, objects: [...last.objects, ...line.objects] };
    else packs.push(line);
  }
  return { header: reader.header, packs };
}

/** A manifest of the given lines, with the end line that they need. */
function ofLines(lines: readonly string[], end?: string): Uint8Array {
  const text = lines.map((line) => `${line}\n`).join('');
  const last = end ?? JSON.stringify({ end: true, lines: lines.length, blake3: blake3Hex(Buffer.from(text)) });
  return encodeFrameSync(Buffer.from(`${text}${last}\n`), { level: 1 });
}
const plainLines = async (): Promise<string[]> => {
  const stored = await encode(small);
  return zlib.zstdDecompressSync(stored).toString().trimEnd().split('\n').slice(0, -1);
};
const place = { pack: hashOf(0), offset: 0, length: 9, plainLength: 9 };
const small: { header: ManifestHeader; packs: PackLine[] } = {
  header: { ...sample.header, snapshotFile: place, commit: null, objects: 2, plainBytes: 20, packs: 2 },
  packs: [
    { pack: hashOf(0), bytes: 9, objects: [] },
    {
      pack: hashOf(1),
      bytes: 20,
      objects: [
        { hash: hashOf(5), offset: 0, length: 10, plainLength: 5 },
        { hash: hashOf(6), offset: 10, length: 10, plainLength: 15 },
      ],
    },
  ],
};

describe('manifests', () => {
  test('come back, in any pieces', async () => {
    await fc.assert(
      fc.asyncProperty(made, pieceLengths, async (manifest, lengths) => {
        const bytes = await encode(manifest);
        expect(await decode(bytes)).toEqual(manifest);
        expect(await decode(bytes, cutInto(bytes, lengths))).toEqual(manifest);
      }),
      { numRuns: 25 },
    );
    const bytes = await encode(small);
    expect(await decode(bytes, byteByByte(bytes))).toEqual(small);
  });

  test('no line is too long, with the longest numbers and hashes that there are', async () => {
    const object = {
      hash: hashOf(1),
      offset: PACK_BYTES_MAX,
      length: OBJECT_BYTES_MAX,
      plainLength: OBJECT_PLAIN_BYTES_MAX,
    };
    const line = JSON.stringify({
      pack: hashOf(1),
      bytes: PACK_BYTES_MAX,
      objects: Array.from({ length: MANIFEST_LINE_OBJECTS_MAX }, () => Object.values(object)),
    });
    expect(line.length).toBeLessThan(MANIFEST_LINE_BYTES_MAX);
  });

  test('any byte changed: noticed, or the content is right', async () => {
    const bytes = await encode(small);
    let noticed = 0;
    for (let at = 0; at < bytes.byteLength; at++) {
      for (const flip of [1, 0xff]) {
        const damaged = Buffer.from(bytes);
        damaged[at] = (damaged[at] ?? 0) ^ flip;
        try {
          expect(await decode(damaged), `byte ${at}`).toEqual(small);
        } catch (error) {
          expect(error, `byte ${at}`).toBeInstanceOf(CorruptionError);
          expect((error as Error).message).toContain(key);
          noticed += 1;
        }
      }
    }
    expect(noticed).toBeGreaterThan(bytes.byteLength * 2 * 0.98);
  });

  test('cut anywhere, at the ends of frames and lines too', async () => {
    const bytes = await encode(sample);
    for (let length = 0; length < bytes.byteLength; length += 11) {
      await expect(decode(bytes.subarray(0, length)), `${length} bytes`).rejects.toThrow(CorruptionError);
    }
    const lines = await plainLines();
    for (let kept = 0; kept < lines.length; kept++) {
      const cut = encodeFrameSync(
        Buffer.from(
          lines
            .slice(0, kept)
            .map((line) => `${line}\n`)
            .join(''),
        ),
        { level: 1 },
      );
      await expect(decode(cut), `${kept} lines`).rejects.toThrow(CorruptionError);
    }
  });

  test('an early end releases the body', async () => {
    let closed = false;
    const bytes = await encode(sample);
    async function* body(): AsyncGenerator<Uint8Array, void, void> {
      try {
        yield* cutInto(bytes, [10]);
      } finally {
        closed = true;
      }
    }
    {
      await using reader = await decodeManifest(body(), { key });
      expect(reader.header).toEqual(sample.header);
    }
    expect(closed).toBe(true);
  });

  test('totals that the header does not have are our bug when written', async () => {
    for (const wrong of [{ objects: 3 }, { objects: 1 }, { plainBytes: 21 }, { packs: 1 }, { packs: 3 }]) {
      await expect(encode({ ...small, header: { ...small.header, ...wrong } })).rejects.toThrow(AssertionError);
    }
    const elsewhere = { ...place, pack: hashOf(9) };
    await expect(encode({ ...small, header: { ...small.header, snapshotFile: elsewhere } })).rejects.toThrow(/no line/);
  });
});

describe('what is refused, with right frames and a right BLAKE3', () => {
  test('the lines that all of these start from are good', async () => {
    expect(await decode(ofLines(await plainLines()))).toEqual(small);
  });

  const pack1 = JSON.stringify(hashOf(1));
  test.for([
    ['totals', 0, '"objects":2', '"objects":3'],
    ['totals', 0, '"objects":2', '"objects":1'],
    ['totals', 0, '"plainBytes":20', '"plainBytes":19'],
    ['totals', 0, '"packs":2', '"packs":1'],
    ['a negative number', 0, '"packs":2', '"packs":-2'],
    ['an identity', 0, '"databaseIdentity":"c2', '"databaseIdentity":"C2'],
    ["the header's place beyond its pack", 0, '"length":9', '"length":10'],
    ["the header's place in no pack", 0, hashOf(0), hashOf(9)],
    ['an impossible place', 0, '"length":9', '"length":99999999999'],
    ['a place without bytes', 0, '"length":9', '"length":0'],
    ['an object beyond its pack', 2, '"bytes":20', '"bytes":19'],
    ['a pack beyond its bound', 2, '"bytes":20', '"bytes":99999999999'],
    ['a fraction', 2, ',10,15]', ',10.5,15]'],
    ['five numbers', 2, ',10,15]', ',10,15,1]'],
    ['a text for a number', 2, ',10,15]', ',"10",15]'],
    ['a hash that is none', 2, hashOf(6), hashOf(6).toUpperCase()],
    ['a pack that is none', 2, pack1, '"../../x"'],
    ['no list', 2, '"objects":[[', '"objects":{"x":[['],
  ] as const)('%s: line %i, %s', async ([, number, from, to]) => {
    const lines = await plainLines();
    const changed = lines.map((line, index) => (index === number ? line.replace(from, to) : line));
    expect(changed).not.toEqual(lines);
    await expect(decode(ofLines(changed))).rejects.toThrow(CorruptionError);
  });

  test('lines of a pack apart from each other, or with two lengths', async () => {
    const [header, first, second] = (await plainLines()) as [string, string, string];
    const none = second.replace(/"objects":.*/, '"objects":[]}');
    expect(await decode(ofLines([header, first, none, second]))).toEqual(small);
    await expect(decode(ofLines([header, none, first, second]))).rejects.toThrow(/follow each other/);
    const longer = none.replace('"bytes":20', '"bytes":21');
    await expect(decode(ofLines([header, first, longer, second]))).rejects.toThrow(/two lengths/);
  });

  test('end lines: another BLAKE3, another count, missing, twice, with something behind', async () => {
    const lines = await plainLines();
    const right = blake3Hex(Buffer.from(lines.map((line) => `${line}\n`).join('')));
    const end = (count: number, hash: string): string => JSON.stringify({ end: true, lines: count, blake3: hash });
    expect(await decode(ofLines(lines, end(3, right)))).toEqual(small);
    for (const wrong of [end(4, right), end(3, hashOf(1)), '{"end":true}', '', `${end(3, right)}\n${end(3, right)}`]) {
      await expect(decode(ofLines(lines, wrong)), wrong).rejects.toThrow(CorruptionError);
    }
  });

  test('a line that is too long, is no JSON, or no object; another format; a skippable frame', async () => {
    const [header, ...rest] = (await plainLines()) as [string, ...string[]];
    const padded = (bytes: number): string => `${header.slice(0, -1)}${' '.repeat(bytes - header.length)}}`;
    expect((await decode(ofLines([padded(MANIFEST_LINE_BYTES_MAX - 1), ...rest]))).header).toEqual(small.header);
    await expect(decode(ofLines([padded(MANIFEST_LINE_BYTES_MAX), ...rest]))).rejects.toThrow(/too long/);
    for (const line of ['[]', 'null', 'x', ''])
      await expect(decode(ofLines([header, line]))).rejects.toThrow(CorruptionError);
    await expect(decode(ofLines([header.replace('"format":1', '"format":2')]))).rejects.toThrow(UnsupportedFormatError);
    await expect(decode(ofLines([header.replace('"format":1', '"format":"1"')]))).rejects.toThrow(CorruptionError);
    const skippable = Buffer.from('502a4d1800000000', 'hex');
    await expect(decode(Buffer.concat([await encode(small), skippable]))).rejects.toThrow(/unknown kind/);
  });
});
