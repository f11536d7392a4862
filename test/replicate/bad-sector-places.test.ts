// Invariant: wherever bad sectors lie, and whatever becomes of the file: no service ends for it, nothing is waited for that
// has passed, and what a snapshot makes possible is begun.
import { open, readFile, stat, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { diskFiles } from '../../src/core/readable-files.ts';
import { formatSegmentName } from '../../src/spacetimedb/file-names.ts';
import { byteOffset, txOffset } from '../../src/core/types.ts';
import { SEGMENT_HEADER_BYTES } from '../../src/spacetimedb/segment-header.ts';
import { openSegment } from '../../src/spacetimedb/segment-reader.ts';
import { LASTS_MS } from '../../src/replicate/unreadable-log.ts';
import { SECTOR_BYTES } from '../support/bad-sector-files.ts';
import { LAST, withService } from '../support/bad-sector-scene.ts';
import { ModelScene } from '../support/model-scene.ts';

const segmentAt = (tx: bigint): string => formatSegmentName(txOffset(tx));

async function flipFirstByte(path: string): Promise<void> {
  await using file = await open(path, 'r+');
  await file.write(Uint8Array.of(0xff), 0, 1, 0);
}

test('an end that was stored cannot be read; then the file is mended without it: a shorter log, not a bad disk', async () => {
  await withService(
    async ({ model, spoil }) => {
      await model.scene.runOnce();
      await spoil(LAST);
    },
    async ({ model, files, one, elapsedMs, caughtUp }) => {
      await model.until(() => elapsedMs() > 3 * LASTS_MS);
      expect(one.status().lastError?.message).toContain('EIO');
      await model.database.cutBack(500n);
      files.bad = [];
      await caughtUp();
      expect(one.status().generationsBegun).toEqual({ 'rolled-back': 1 });
      await model.database.append(5);
      await caughtUp();
      await model.expectLineIsLocal();
    },
  );
});

test.each(['a bad sector', 'bit rot'] as const)('%s in the header of a segment', async (kind) => {
  await withService(
    async ({ model, files }) => {
      await model.database.append(10, { rotate: true });
      await model.database.snapshot(605n);
      await model.database.append(10, { rotate: true });
      await model.database.snapshot(615n);
      if (kind === 'a bad sector') files.bad = [{ path: segmentAt(600n), first: 0, count: 1 }];
      else await flipFirstByte(model.database.segmentPath(600n));
    },
    async ({ model, one }) => {
      await model.until(() => one.status().stored?.tx === 619n || one.status().state === 'stopped');
      expect(one.status()).toMatchObject({ generationsBegun: { first: 1, damaged: 1 }, damage: { tx: 600n } });
      await model.until(() => one.status().newestSnapshot === 615n);
      const restored = await model.restore();
      expect([restored.snapshot, restored.log.at(-1)?.last]).toEqual([615n, 619n]);
    },
  );
});

test.each(['first', 'last'] as const)('in a segment in zstd that is not stored yet: its %s sector', async (which) => {
  let size = 0;
  await withService(
    async ({ model, files }) => {
      await model.database.append(10, { rotate: true });
      await model.database.snapshot(605n);
      await model.database.compress();
      size = (await stat(model.database.segmentPath(0n))).size;
      const first = which === 'first' ? 0 : Math.floor((size - 1) / SECTOR_BYTES);
      files.bad = [{ path: segmentAt(0n), first, count: 1 }];
    },
    async ({ model, one }) => {
      await model.until(() => one.status().stored?.tx === 609n || one.status().state === 'stopped');
      expect(one.status().generationsBegun).toMatchObject({ damaged: 1 });
      await model.until(() => one.status().newestSnapshot === 605n);
      const restored = await model.restore();
      expect([restored.snapshot, restored.log.at(-1)?.last]).toEqual([605n, 609n]);
    },
  );
  expect(size).toBeGreaterThan(2 * SECTOR_BYTES);
});

test('two bad files, one with what is stored, one with what is not: each is passed over', async () => {
  await withService(
    async ({ model, files, spoil }) => {
      await model.scene.runOnce();
      await spoil(300n);
      const stored = files.bad.map((bad) => ({ ...bad, path: segmentAt(0n) }));
      files.bad = [...stored, { path: segmentAt(600n), first: 0, count: 1 }];
      await model.database.append(10, { rotate: true });
      await model.database.append(10, { rotate: true });
      await model.database.snapshot(615n);
    },
    async ({ model, one, elapsedMs }) => {
      await model.until(() => (one.status().generationsBegun?.['damaged'] ?? 0) > 0 || elapsedMs() > 60 * LASTS_MS);
      await model.until(() => one.status().stored?.tx === 619n && one.status().newestSnapshot === 615n);
      expect(one.status().generationsBegun).toEqual({ damaged: 1 });
      expect((await model.restore()).log.at(-1)?.last).toBe(619n);
    },
  );
});

test('bit rot in a segment in zstd: all that its good frames hold whole is stored', async () => {
  await using model = await ModelScene.open();
  await model.database.append(600);
  await model.database.append(10, { rotate: true });
  let end = SEGMENT_HEADER_BYTES;
  const ends = (await model.database.log()).map(({ last, bytes }) => ({ last, end: (end += bytes.byteLength) }));
  await model.database.compress();
  const path = model.database.segmentPath(0n);
  const bytes = await readFile(path);
  const rot = Math.floor(bytes.byteLength / 2);
  bytes.writeUInt8(bytes.readUInt8(rot) ^ 0xff, rot);
  await writeFile(path, bytes);
  let good = 0;
  await using reader = await openSegment(diskFiles, path);
  await (async () => {
    while (reader !== null) good += (await reader.read(byteOffset(good), 1)).byteLength;
  })().catch(() => null);
  await model.scene.runOnceFailing('CORRUPTION');
  expect(good).toBeGreaterThan(SECTOR_BYTES);
  expect((await model.scene.head()).position?.tx).toBe(ends.findLast((one) => one.end <= good)?.last);
});
