/** Invariant: a drill of a whole backup succeeds, whatever format its log is of, and leaves nothing in its scratch directory. */
import { readdir } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { buildSimpleStore } from '../../test/support/store-builder.ts';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { vectorDirectory } from '../../test/vectors/vectors.ts';
import { ByteBudget } from '../core/byte-budget.ts';
import { systemClock } from '../core/clock.ts';
import { silentLog } from '../core/log.ts';
import { MemoryReplicaClient } from '../replica/memory/memory-replica-client.ts';
import { runDrill } from './drill-run.ts';

test.each(['v2-small', 'v2-compressed', 'v2-batched/v1', 'v2-batched/v0'] as const)('%s', async (name) => {
  await using scratch = await temporaryDirectory();
  const client = new MemoryReplicaClient();
  const { commits } = await buildSimpleStore({ client, replicaDir: vectorDirectory(name), commitsPerObject: 9 });
  for (const seed of [null, 1, 2]) {
    const report = await runDrill({
      client,
      scratch: scratch.path,
      seed,
      exec: null,
      env: {},
      parallelism: 4,
      budget: new ByteBudget(32 * 1024 * 1024),
      clock: systemClock,
      log: silentLog,
      signal: new AbortController().signal,
    });
    const tx = report.databases[0]?.position.tx;
    if (seed === null) expect(tx).toBe(commits.at(-1)?.last);
    else expect(commits.some(({ last }) => last === tx)).toBe(true);
    expect(await readdir(scratch.path)).toEqual([]);
  }
});
