/** Invariant: a file holds every byte it was given, in order, or its making fails; short writes of the system included. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LocalFileError } from '../core/errors.ts';
import { FLUSH_BYTES, StagedFile, WRITE_BYTES_MIN } from './staged-file.ts';
import { realTargetSystem, type TargetSystem } from './target-system.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'stdb-staged-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** As a system that takes at most so many bytes, and sometimes only a part of one buffer. */
const shortWrites = (bytesMax: number): TargetSystem => ({
  ...realTargetSystem,
  createFile: async (path) => {
    const file = await realTargetSystem.createFile(path);
    const writev = async (buffers: readonly Uint8Array[]): Promise<{ bytesWritten: number; buffers: Uint8Array[] }> => {
      const some = Buffer.concat(buffers).subarray(0, bytesMax);
      await file.writeFile(some);
      return { bytesWritten: some.byteLength, buffers: [] };
    };
    return Object.assign(file, { writev });
  },
});

let files = 0;
const nextPath = (): string => join(root, `file-${(files += 1)}`);

test('any pieces, large and small, come out as they went in', async () => {
  const sizes = fc.array(fc.oneof(fc.nat({ max: 300 }), fc.integer({ min: 60_000, max: 700_000 })), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(sizes, fc.integer({ min: 100_000, max: 2_000_000 }), async (lengths, bytesMax) => {
      const pieces = lengths.map((length, index) => Buffer.alloc(length, index + 1));
      const expected = Buffer.concat(pieces);
      const path = nextPath();
      await using file = await StagedFile.create(path, shortWrites(bytesMax));
      for (const piece of pieces) await file.write(piece);
      expect(file.bytes).toBe(expected.byteLength);
      await file.finish();
      expect(expected.equals(await readFile(path))).toBe(true);
      await rm(path);
    }),
    { numRuns: 30 },
  );
});

test('the memory of what was written is given back, and that of the runtime’s pool never', async () => {
  await using file = await StagedFile.create(nextPath(), realTargetSystem);
  const large = Buffer.alloc(WRITE_BYTES_MIN);
  const pooled = Buffer.from('small');
  const neighbour = Buffer.from('neighbour');
  await file.write(pooled);
  await file.write(large);
  await file.finish();
  expect(large.buffer.byteLength).toBe(0);
  expect(neighbour.toString()).toBe('neighbour');
});

test('a file that is there already is not written to', async () => {
  const path = nextPath();
  await using first = await StagedFile.create(path, realTargetSystem);
  await first.finish();
  await expect(StagedFile.create(path, realTargetSystem)).rejects.toThrow(LocalFileError);
});

test('a write that failed is told by the next call', async () => {
  const failing: TargetSystem = {
    ...realTargetSystem,
    createFile: async (path) =>
      Object.assign(await realTargetSystem.createFile(path), {
        writeFile: () => Promise.reject(Object.assign(new Error('I/O error'), { code: 'EIO' })),
      }),
  };
  await using file = await StagedFile.create(nextPath(), failing);
  await file.write(Buffer.alloc(WRITE_BYTES_MIN));
  await expect(file.finish()).rejects.toThrow(LocalFileError);
});

/** What the disk is asked, in order; `datasync` as given. */
const watching = (asked: string[], datasync: () => Promise<void>): TargetSystem => ({
  ...realTargetSystem,
  createFile: async (path) => {
    const file = await realTargetSystem.createFile(path);
    const sync = file.sync.bind(file);
    return Object.assign(file, {
      datasync: () => {
        asked.push('datasync');
        return datasync();
      },
      sync: () => {
        asked.push('sync');
        return sync();
      },
    });
  },
});

async function writeLong(file: StagedFile): Promise<void> {
  for (let bytes = 0; bytes < 2 * FLUSH_BYTES; bytes += WRITE_BYTES_MIN)
    await file.write(Buffer.alloc(WRITE_BYTES_MIN));
}

test('the disk begins with a long file before all of it is written, and the end of it is synced in any case', async () => {
  const asked: string[] = [];
  const path = nextPath();
  {
    await using file = await StagedFile.create(
      path,
      watching(asked, async () => undefined),
    );
    await writeLong(file);
    expect(asked[0]).toBe('datasync');
    await file.finish();
    expect(asked.at(-1)).toBe('sync');
  }
  await rm(path);
});

test('bytes that the disk did not take are told, although the fsync at the end says nothing of them', async () => {
  const path = nextPath();
  const full = (): Promise<never> => Promise.reject(Object.assign(new Error('EIO: i/o error'), { code: 'EIO' }));
  {
    await using file = await StagedFile.create(path, watching([], full));
    const writing = (async (): Promise<void> => {
      await writeLong(file);
      await file.finish();
    })();
    await expect(writing).rejects.toThrow(LocalFileError);
  }
  await rm(path);
});
