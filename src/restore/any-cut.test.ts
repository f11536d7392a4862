/** Invariant: however a log was cut into objects, levels and generations, a restore gives back the source's segments. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RecordedCommit, readRecordedLog, segmentBytes } from '../../test/support/recorded-log.ts';
import { positionOf, StoreBuilder } from '../../test/support/store-builder.ts';
import { makeTinyReplica, TINY_SNAPSHOT } from '../../test/support/tiny-replica.ts';
import { ByteBudget } from '../core/byte-budget.ts';
import { systemClock } from '../core/clock.ts';
import { silentLog } from '../core/log.ts';
import { crc32cValue } from '../core/types.ts';
import type { GenerationName } from '../layout/keys.ts';
import { MemoryReplicaClient } from '../replica/memory/memory-replica-client.ts';
import { formatSegmentName } from '../spacetimedb/file-names.ts';
import { restore } from './restore.ts';

let root: string;
let replicaDir: string;
let commits: readonly RecordedCommit[];
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'stdb-cut-'));
  replicaDir = join(root, 'source');
  await makeTinyReplica(replicaDir);
  commits = await readRecordedLog(replicaDir);
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** A run of a writer: how it cut its objects, how many commits it got done, and how many of those its child kept. */
const writers = fc.array(
  fc.record({
    commitsPerObject: fc.integer({ min: 1, max: 8 }),
    stores: fc.nat({ max: 7 }),
    childDrops: fc.nat({ max: 3 }),
    promotes: fc.boolean(),
  }),
  { minLength: 1, maxLength: 4 },
);

test('any writers, one after the other, and a snapshot or none', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(writers, fc.boolean(), async (runs, withSnapshot) => {
      const client = new MemoryReplicaClient();
      const builder = new StoreBuilder(client);
      let parent: GenerationName | null = null;
      let kept = 0;
      for (const [index, run] of runs.entries()) {
        const isLast = index === runs.length - 1;
        const before: RecordedCommit | undefined = commits[kept - 1];
        const position = before && positionOf(before);
        const generation: GenerationName = await builder.putGeneration({
          number: index + 1,
          parent: parent && position ? { generation: parent, position } : null,
        });
        // The last one stores all the rest, so that there is a known end.
        const own = commits.slice(kept, isLast ? undefined : kept + Math.max(run.stores, 1));
        const prev = parent && before ? before.crc : crc32cValue(0);
        if (own.length > 0)
          await builder.putLog(generation, { commits: own, commitsPerObject: run.commitsPerObject, prev });
        if (run.promotes && own.length > 0) await builder.putLog(generation, { commits: own, level: 1, prev });
        if (isLast) await builder.putHead(generation, commits.at(-1) ?? null);
        // A child keeps at least one commit of its parent: without any it would have no parent.
        kept += isLast ? own.length : Math.max(own.length === 0 ? 0 : 1, own.length - run.childDrops);
        parent = generation;
      }
      const commit = commits.find(({ first, last }) => first <= TINY_SNAPSHOT && TINY_SNAPSHOT <= last) ?? null;
      if (withSnapshot && parent) await builder.putSnapshot(parent, { replicaDir, tx: TINY_SNAPSHOT, commit });
      const target = join(root, 'target');
      // Of the case before, where that failed: it is the first failure that counts.
      await rm(target, { recursive: true, force: true });
      const report = await restore({
        client,
        target,
        budget: new ByteBudget(16 * 1024 * 1024),
        clock: systemClock,
        log: silentLog,
        signal: new AbortController().signal,
      });
      expect(report.snapshot).toBe(withSnapshot ? TINY_SNAPSHOT : null);
      const wanted = segmentBytes(commits.filter(({ segment }) => !withSnapshot || segment >= (commit?.segment ?? 0n)));
      const names = (await readdir(join(target, 'clog'))).filter((name) => name.endsWith('.stdb.log'));
      expect(names.sort()).toEqual([...wanted.keys()].map(formatSegmentName));
      for (const [first, bytes] of wanted) {
        expect(Buffer.compare(await readFile(join(target, 'clog', formatSegmentName(first))), bytes)).toBe(0);
      }
    }),
    { numRuns: 80 },
  );
});
