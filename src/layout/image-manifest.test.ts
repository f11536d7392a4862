/**
 * Invariant: an image's manifest comes back as it was written; one that was changed, lies in another place, or names what
 * no image may hold is refused by name, before anything is made of it.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crc32c } from '../core/checksum.ts';
import { CorruptionError, UnsupportedFormatError } from '../core/errors.ts';
import { crc32cValue, formatCrc, micros, txOffset, U64_MAX } from '../core/types.ts';
import {
  decodeImageManifest,
  encodeImageManifest,
  IMAGE_FILE_BYTES_MAX,
  IMAGE_MANIFEST_BYTES_MAX,
  imageHash,
  type ImageManifest,
  imageNameOf,
} from './image-manifest.ts';
import { makeGenerationName } from './keys.ts';
import { imageManifestKey } from './server-keys.ts';
import { TIME_MAX } from './time.ts';

const generation = makeGenerationName(3, '1a2b3c4d');
const hex64 = fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 64, maxLength: 64 });
const ascending = <T extends string | bigint>(values: readonly T[]): T[] =>
  [...new Set(values)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
const path = fc.oneof(
  fc.constantFrom('metadata.toml', 'config.toml', 'control-db/db', 'control-db/conf', 'control-db/blobs/7'),
  fc
    .constantFrom('id_ecdsa', 'id ecdsa.pub', '"quoted"', '\u043a\u043b\u044e\u0447', '\u{1f600}')
    .map((name) => `extra/${name}`),
);
const file = fc.record({
  bytes: fc.integer({ min: 0, max: IMAGE_FILE_BYTES_MAX }),
  mode: fc.integer({ min: 0, max: 0o777 }),
  blake3: hex64,
});
const position = fc.record({
  generation: fc.constant(makeGenerationName(12, '99999999')),
  tx: fc.bigInt({ min: 0n, max: U64_MAX }).map(txOffset),
  crc: fc.integer({ min: 0, max: 0xffff_ffff }).map(crc32cValue),
});
const manifests: fc.Arbitrary<ImageManifest> = fc
  .record({
    time: fc.bigInt({ min: 0n, max: TIME_MAX }).map(micros),
    paths: fc.array(path, { maxLength: 8 }).map(ascending),
    fileFacts: fc.array(file, { minLength: 10, maxLength: 10 }),
    directories: fc.array(fc.constantFrom('control-db', 'control-db/blobs'), { maxLength: 2 }).map(ascending),
    programs: fc.array(hex64, { maxLength: 4 }).map(ascending),
    ids: fc.array(fc.bigInt({ min: 0n, max: U64_MAX }), { maxLength: 4 }).map(ascending),
    positions: fc.array(fc.option(position), { minLength: 4, maxLength: 4 }),
  })
  .map(({ time, paths, fileFacts, directories, programs, ids, positions }) => ({
    time,
    files: paths.map((name, i) => ({ path: name, ...(fileFacts[i] as (typeof fileFacts)[number]) })),
    directories,
    programs,
    replicas: ids.map((replicaId, i) => ({ replicaId, position: positions[i] ?? null })),
  }));

const keyOf = (manifest: ImageManifest): string => imageManifestKey(generation, imageNameOf(manifest).name);
const encode = (manifest: ImageManifest): Uint8Array => {
  const bytes = encodeImageManifest(manifest);
  if (bytes === null) throw new Error('too long');
  return bytes;
};

const SAMPLE: ImageManifest = {
  time: micros(1_764_000_000_123_456n),
  files: [
    { path: 'control-db/db', bytes: 1647, mode: 0o644, blake3: 'a'.repeat(64) },
    { path: 'metadata.toml', bytes: 100, mode: 0o600, blake3: 'b'.repeat(64) },
  ],
  directories: ['control-db', 'control-db/blobs'],
  programs: ['c'.repeat(64)],
  replicas: [{ replicaId: 1n, position: null }],
};

describe('a manifest', () => {
  test('comes back as it was written', () => {
    fc.assert(
      fc.property(manifests, (manifest) => {
        expect(decodeImageManifest(encode(manifest), { key: keyOf(manifest) })).toEqual(manifest);
      }),
    );
  });

  test('its hash is of all but times and positions', () => {
    const hash = imageHash(SAMPLE);
    const at = { generation, tx: txOffset(7), crc: crc32cValue(8) };
    expect(imageHash({ ...SAMPLE, replicas: [{ replicaId: 1n, position: at }] })).toBe(hash);
    expect(imageNameOf({ ...SAMPLE, time: micros(5n) }).hash).toBe(hash);
    const others = [
      { ...SAMPLE, files: SAMPLE.files.slice(1) },
      { ...SAMPLE, files: SAMPLE.files.map((entry) => ({ ...entry, mode: 0o640 })) },
      { ...SAMPLE, directories: ['control-db'] },
      { ...SAMPLE, programs: [] },
      { ...SAMPLE, replicas: [] },
      { ...SAMPLE, replicas: [{ replicaId: 2n, position: null }] },
    ].map(imageHash);
    expect(new Set([hash, ...others]).size).toBe(7);
  });

  test('a flipped bit anywhere is refused', () => {
    const bytes = Buffer.from(encode(SAMPLE));
    const key = keyOf(SAMPLE);
    // The newline at the end carries nothing.
    for (let bit = 0; bit < (bytes.byteLength - 1) * 8; bit += 1) {
      const damaged = Buffer.from(bytes);
      damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => decodeImageManifest(damaged, { key })).toThrow(CorruptionError);
    }
  });

  test('under the key of another image it is refused', () => {
    const key = keyOf({ ...SAMPLE, time: micros(1n) });
    expect(() => decodeImageManifest(encode(SAMPLE), { key })).toThrow(CorruptionError);
  });

  test('too many entries are told before anything is stored', () => {
    const programs = Array.from({ length: 65_000 }, (_, i) => i.toString(16).padStart(64, '0'));
    expect(encodeImageManifest({ ...SAMPLE, programs })).toBeNull();
    expect(encode({ ...SAMPLE, programs: programs.slice(0, 50_000) }).byteLength).toBeLessThan(
      IMAGE_MANIFEST_BYTES_MAX,
    );
    const long = Buffer.alloc(IMAGE_MANIFEST_BYTES_MAX + 1, 0x20);
    expect(() => decodeImageManifest(long, { key: keyOf(SAMPLE) })).toThrow(/more than 4194304 bytes/);
  });
});

describe('with a right checksum and wrong content', () => {
  const forge = (change: Record<string, unknown>): Uint8Array => {
    const { crc: _, ...members } = JSON.parse(Buffer.from(encode(SAMPLE)).toString()) as Record<string, unknown>;
    const body = JSON.stringify({ ...members, ...change });
    return Buffer.from(`${body.slice(0, -1)},"crc":"${formatCrc(crc32c(Buffer.from(body)))}"}\n`);
  };
  const entry = { path: 'control-db/db', bytes: 1, mode: '0644', blake3: 'a'.repeat(64) };
  const replica = { replicaId: '1', position: null };
  test.each<[string, Record<string, unknown>]>([
    ['a path that leads out', { files: [{ ...entry, path: 'control-db/../../etc/passwd' }] }],
    ['an absolute path', { files: [{ ...entry, path: '/etc/passwd' }] }],
    ['a path that is none of ours', { files: [{ ...entry, path: 'replicas/1/db.lock' }] }],
    ['a path twice', { files: [entry, entry] }],
    ['paths out of order', { files: [{ ...entry, path: 'metadata.toml' }, entry] }],
    ['a file below a file', { files: [entry, { ...entry, path: 'control-db/db/x' }] }],
    [
      'a file that is a directory',
      { files: [{ ...entry, path: 'control-db/blobs' }], directories: ['control-db/blobs'] },
    ],
    ['a directory below a file', { files: [entry], directories: ['control-db/db/x'] }],
    ['a size beyond the bound', { files: [{ ...entry, bytes: IMAGE_FILE_BYTES_MAX + 1 }] }],
    ['a negative size', { files: [{ ...entry, bytes: -1 }] }],
    ['a set-user-id bit', { files: [{ ...entry, mode: '4755' }] }],
    ['a mode as number', { files: [{ ...entry, mode: 420 }] }],
    ['no hash', { files: [{ ...entry, blake3: 'zz' }] }],
    ['an entry that is no object', { files: ['control-db/db'] }],
    ['an entry that is null', { files: [null] }],
    ['files that are no list', { files: {} }],
    ['a directory elsewhere', { directories: ['replicas'] }],
    ['a directory that leads out', { directories: ['control-db/..'] }],
    ['a program that is no hash', { programs: ['../../bin/sh'] }],
    ['a replica twice', { replicas: [replica, replica] }],
    ['a replica id that is no u64', { replicas: [{ ...replica, replicaId: '18446744073709551616' }] }],
    ['a replica id with a leading zero', { replicas: [{ ...replica, replicaId: '01' }] }],
    [
      'a position in no generation',
      { replicas: [{ ...replica, position: { generation: '..', tx: '1', crc: '00000000' } }] },
    ],
    ['no time', { time: 'now' }],
    ['content of another image', { files: [entry] }],
  ])('%s is refused', (_, change) => {
    expect(() => decodeImageManifest(forge(change), { key: keyOf(SAMPLE) })).toThrow(CorruptionError);
  });

  test('another format is told apart', () => {
    expect(() => decodeImageManifest(forge({ format: 2 }), { key: keyOf(SAMPLE) })).toThrow(UnsupportedFormatError);
  });
});
