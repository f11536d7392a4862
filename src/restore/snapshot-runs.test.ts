/**
 * Invariants: every object is in exactly one run, within its range; a run is bounded unless it is one object; what the
 * manifest names and the snapshot file does not is refused.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { collect } from '../../test/support/pieces.ts';
import { ByteBudget } from '../core/byte-budget.ts';
import { ConfigurationError, CorruptionError } from '../core/errors.ts';
import type { PackedObject, PackLine } from '../layout/manifest.ts';
import { MemoryReplicaClient } from '../replica/memory/memory-replica-client.ts';
import type { ObjectKind } from '../spacetimedb/snapshot-file.ts';
import { readPlace } from './read-snapshot.ts';
import { GAP_BYTES_MAX, planRuns, SMALL_PLAIN_BYTES, type SnapshotRun } from './snapshot-runs.ts';

const PART_BYTES = 1024 * 1024;
const hashOf = (index: number): string => index.toString(16).padStart(64, '0');

async function runsOf(lines: readonly PackLine[], wanted: Map<string, ObjectKind>): Promise<SnapshotRun[]> {
  async function* stream(): AsyncGenerator<PackLine, void, void> {
    yield* lines;
  }
  return collect(planRuns(stream(), { partBytes: PART_BYTES, wanted, manifestKey: 'manifest' }));
}

test('any placing of objects', async () => {
  const placed = fc.record({
    gap: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 3 * GAP_BYTES_MAX })),
    length: fc.integer({ min: 1, max: 2 * PART_BYTES }),
    plainLength: fc.oneof(fc.nat({ max: SMALL_PLAIN_BYTES }), fc.integer({ min: 1, max: 3 * PART_BYTES })),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(placed, { maxLength: 30 }), async (places) => {
      let at = 0;
      const objects = places.map(({ gap, length, plainLength }, index): PackedObject => {
        const offset = at + gap;
        at = offset + length;
        return { hash: hashOf(index), offset, length, plainLength };
      });
      const wanted = new Map(objects.map(({ hash }): [string, ObjectKind] => [hash, 'page']));
      const runs = await runsOf([{ pack: hashOf(0), bytes: at, objects: objects.toReversed() }], wanted);
      expect(wanted.size).toBe(0);
      expect(runs.flatMap((run) => run.objects.map(({ hash }) => hash))).toEqual(objects.map(({ hash }) => hash));
      for (const { start, endExclusive, objects: inRun } of runs) {
        expect(inRun.every(({ offset, length }) => offset >= start && offset + length <= endExclusive)).toBe(true);
        if (inRun.length === 1) continue;
        expect(endExclusive - start).toBeLessThanOrEqual(PART_BYTES);
        const large = inRun.filter(({ plainLength }) => plainLength > SMALL_PLAIN_BYTES);
        expect(large.reduce((sum, { plainLength }) => sum + plainLength, 0)).toBeLessThanOrEqual(PART_BYTES);
      }
    }),
  );
});

test('an object that is named twice, or that nothing asked for, is corruption', async () => {
  const object = { hash: hashOf(1), offset: 0, length: 10, plainLength: 10 };
  const line = { pack: hashOf(0), bytes: 10, objects: [object] };
  await expect(runsOf([line], new Map())).rejects.toThrow(CorruptionError);
  await expect(runsOf([line, line], new Map([[object.hash, 'page']]))).rejects.toThrow(CorruptionError);
});

test('objects that overlap are corruption: a range could be far longer than its first object and the last', async () => {
  const long = { hash: hashOf(1), offset: 0, length: 500 * PART_BYTES, plainLength: 10 };
  const short = { hash: hashOf(2), offset: 5, length: 10, plainLength: 10 };
  const line = { pack: hashOf(0), bytes: long.length, objects: [long, short] };
  const wanted = new Map<string, ObjectKind>([long, short].map(({ hash }) => [hash, 'page']));
  await expect(runsOf([line], wanted)).rejects.toThrow(CorruptionError);
});

test('a declared size above the budget is refused before anything is asked for', async () => {
  const client = new MemoryReplicaClient();
  const budget = new ByteBudget(16 * 1024 * 1024);
  const fetch = { client, budget, parallelism: 1, signal: new AbortController().signal };
  const place = { pack: hashOf(0), offset: 0, length: 100, plainLength: 900 * 1024 * 1024 };
  await expect(readPlace(place, fetch)).rejects.toThrow(ConfigurationError);
  expect(client.store.requests.get).toBe(0);
});
