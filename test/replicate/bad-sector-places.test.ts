// Invariant: wherever bad sectors lie, and whatever becomes of the file: no service ends for it, nothing is waited for that
// has passed, and what a snapshot makes possible is begun.
import { open } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { formatSegmentName } from '../../src/spacetimedb/file-names.ts';
import { txOffset } from '../../src/core/types.ts';
import { LASTS_MS } from '../../src/replicate/unreadable-log.ts';
import { LAST, withService } from '../support/bad-sector-scene.ts';

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
