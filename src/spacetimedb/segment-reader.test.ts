/**
 * Invariant: a reader gives the same logical bytes whether the segment is plain or compressed, and goes on doing so when
 * the name is given to another file; an empty segment has no header, which is no error.
 */
import {
  appendFileSync,
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { vectorDirectory } from '../../test/vectors/vectors.ts';
import {
  AssertionError,
  CorruptionError,
  LocalFileError,
  ReplicateError,
  UnsupportedFormatError,
} from '../core/errors.ts';
import { diskFiles, type ReadableFiles } from '../core/readable-files.ts';
import { byteOffset, txOffset } from '../core/types.ts';
import { encodeSegmentHeader } from './segment-header.ts';
import { openSegment, SEGMENT_READ_BYTES_MAX, type SegmentReader } from './segment-reader.ts';

const NAME = '00000000000000000000.stdb.log';
const plainPath = join(vectorDirectory('v2-small'), 'clog', NAME);
const compressedPath = join(vectorDirectory('v2-compressed'), 'clog', NAME);
const plain = readFileSync(plainPath);

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'segment-reader-'));
  path = join(directory, NAME);
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

async function open(file: string, files: ReadableFiles = diskFiles): Promise<SegmentReader> {
  const reader = await openSegment(files, file);
  if (reader === null) throw new Error(`${file} is gone`);
  return reader;
}

describe.each([
  ['plain', plainPath, false],
  ['compressed', compressedPath, true],
] as const)('a %s segment', (_, file, compressed) => {
  test('is described', async () => {
    await using reader = await open(file);
    const facts = await diskFiles.facts(file);
    expect(reader).toMatchObject({
      tx: 0n,
      compressed,
      version: 1,
      path: file,
      inode: facts?.inode,
      device: facts?.device,
    });
    expect(reader.header).toEqual(encodeSegmentHeader({ version: 1 }));
    expect(await reader.plainBytes()).toBe(plain.byteLength);
    expect(await reader.fileBytes()).toBe(facts?.size);
    expect(reader.siblingPath(txOffset(147))).toBe(file.replace(NAME, '00000000000000000147.stdb.log'));
  });

  test('gives any range of the plain bytes, short at the end', async () => {
    await using reader = await open(file);
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: plain.byteLength + 100 }), fc.nat({ max: 70_000 }), async (from, length) => {
        const found = await reader.read(byteOffset(from), length);
        expect(Buffer.compare(found, plain.subarray(from, from + length))).toBe(0);
      }),
      { numRuns: 50 },
    );
  });

  test('bounds what one read may ask for', async () => {
    await using reader = await open(file);
    await expect(reader.read(byteOffset(0), SEGMENT_READ_BYTES_MAX + 1)).rejects.toBeInstanceOf(AssertionError);
  });
});

test('growth is seen through an open reader', async () => {
  writeFileSync(path, plain.subarray(0, 100));
  await using reader = await open(path);
  expect(await reader.read(byteOffset(90), 50)).toHaveLength(10);
  appendFileSync(path, plain.subarray(100, 200));
  expect(await reader.plainBytes()).toBe(200);
  expect(Buffer.from(await reader.read(byteOffset(90), 50))).toEqual(plain.subarray(90, 140));
});

test('compression in place is another file under the same name, and the open reader keeps the old one', async () => {
  copyFileSync(plainPath, path);
  await using before = await open(path);
  copyFileSync(compressedPath, join(directory, '.tmpAbCdEf'));
  renameSync(join(directory, '.tmpAbCdEf'), path);
  await using after = await open(path);
  expect(after.inode).not.toBe(before.inode);
  expect([before.compressed, after.compressed]).toEqual([false, true]);
  expect(await after.read(byteOffset(50_000), 5000)).toEqual(
    new Uint8Array(await before.read(byteOffset(50_000), 5000)),
  );
});

describe('opening', () => {
  test('is null where nothing has the name', async () => {
    expect(await openSegment(diskFiles, path)).toBeNull();
  });

  test('a file shorter than a header is an empty segment', async () => {
    for (let bytes = 0; bytes < 10; bytes++) {
      writeFileSync(path, plain.subarray(0, bytes));
      await using reader = await open(path);
      expect(reader).toMatchObject({ header: null, version: null, compressed: false });
      expect(await reader.plainBytes()).toBe(bytes);
    }
  });

  test('what is no segment is corrupt, an unknown version is unsupported, and no file stays open', async () => {
    const openFiles = (): number => readdirSync('/proc/self/fd').length;
    const before = openFiles();
    for (const [bytes, kind] of [
      [Buffer.alloc(4096), CorruptionError],
      [Buffer.from('(ds)^2\x02\0\0\0', 'latin1'), UnsupportedFormatError],
      [readFileSync(compressedPath).subarray(0, 9000), CorruptionError],
    ] as const) {
      writeFileSync(path, bytes);
      await expect(open(path)).rejects.toBeInstanceOf(kind);
      await expect(open(path)).rejects.toThrow(path);
    }
    expect(openFiles()).toBe(before);
  });

  test('any bytes are opened, or refused with an error of ours', async () => {
    const zstd = readFileSync(compressedPath);
    const damage = fc.tuple(fc.nat({ max: zstd.byteLength - 1 }), fc.uint8Array({ minLength: 1, maxLength: 8 }));
    await fc.assert(
      fc.asyncProperty(damage, fc.boolean(), async ([place, patch], atEnd) => {
        const bytes = Buffer.from(zstd);
        bytes.set(
          patch,
          Math.min(atEnd ? bytes.byteLength - 1 - (place % 200) : place, bytes.byteLength - patch.byteLength),
        );
        writeFileSync(path, bytes);
        try {
          await using reader = await open(path);
          await reader.read(byteOffset(0), plain.byteLength);
        } catch (error) {
          expect(error).toBeInstanceOf(ReplicateError);
        }
      }),
      { numRuns: 60 },
    );
  });

  test('a path with another name is our bug', async () => {
    await expect((async () => openSegment(diskFiles, join(directory, 'x.log')))()).rejects.toBeInstanceOf(
      AssertionError,
    );
  });

  test('a disk that fails is a local error that names the path', async () => {
    copyFileSync(plainPath, path);
    const failing: ReadableFiles = {
      ...diskFiles,
      open: async (name) => {
        const file = await diskFiles.open(name);
        if (file === null) return null;
        const read = (): Promise<number> => Promise.reject(Object.assign(new Error('EIO: i/o error'), { code: 'EIO' }));
        return {
          path: file.path,
          facts: () => file.facts(),
          read,
          close: () => file.close(),
          [Symbol.asyncDispose]: () => file.close(),
        };
      },
    };
    const failure = await openSegment(failing, path).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(LocalFileError);
    expect(failure).toMatchObject({ facts: { path, systemCode: 'EIO' } });
  });
});
