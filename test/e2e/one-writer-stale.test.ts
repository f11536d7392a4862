/**
 * A writer that lost the head without knowing it: it was stopped for longer than its ttl, or what it sent hung on the way.
 * Invariants: what it still stores lands in its own generation and is in no restore; it learns that it was replaced
 * before it tells anything more as stored; the line of who took over is whole.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { ByteBudget } from '../../src/core/byte-budget.ts';
import { systemClock } from '../../src/core/clock.ts';
import { FencedError } from '../../src/core/errors.ts';
import { silentLog } from '../../src/core/log.ts';
import { diskFiles } from '../../src/core/readable-files.ts';
import { decodeHeadDocument, encodeHeadDocument } from '../../src/layout/head-document.ts';
import { MemoryReplicaClient } from '../../src/replica/memory/memory-replica-client.ts';
import type { ObjectVersion, PutBody, PutOptions } from '../../src/replica/replica-client.ts';
import { Replicator } from '../../src/replicate/replicator.ts';
import { identifyWriter } from '../../src/replicate/writer.ts';
import { runBadly, runWell, writeConfig } from '../support/database-beside-store.ts';
import { DivergingCopy, partsFrom } from '../support/diverging-copy.ts';
import { faultyS3 } from '../support/faulty-s3.ts';
import { type RunningProgram, startProgram } from '../support/program.ts';
import { commitsOf, readDatabase } from '../support/recorded-database.ts';
import { StoredLines } from '../support/stored-lines.ts';
import { readHead, readStored } from '../support/stored-log.ts';
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts';
import { mirror } from '../support/mirror.ts';

const MIB = 1024 * 1024;
const s3 = await faultyS3();

/** Keeps the next put of a log object on the way until it is told to arrive. */
class HangingClient extends MemoryReplicaClient {
  readonly hung = Promise.withResolvers<void>();
  readonly arrive = Promise.withResolvers<void>();
  hang = false;

  override async put(key: string, body: PutBody, options: PutOptions = {}): Promise<{ version: ObjectVersion }> {
    if (this.hang && key.includes('/log/')) {
      this.hang = false;
      this.hung.resolve();
      await this.arrive.promise;
    }
    return super.put(key, body, options);
  }
}

async function twoCopies(place: TemporaryDirectory): Promise<readonly [DivergingCopy, DivergingCopy]> {
  const ours = new DivergingCopy(place.at('ours'), 'ours');
  const theirs = new DivergingCopy(place.at('theirs'), 'theirs');
  await ours.create();
  await ours.grow(30);
  await theirs.create();
  await theirs.begin([...ours.commits]);
  return [ours, theirs];
}

async function replicator(client: MemoryReplicaClient, database: string, more: { once: boolean; leaseTtlMs: number }) {
  return new Replicator({
    database,
    files: diskFiles,
    client,
    writer: await identifyWriter({ owner: 'game-0', version: '0.0.0' }),
    intervalMs: 20,
    compressionLevel: 1,
    budget: new ByteBudget(16 * MIB),
    clock: systemClock,
    log: silentLog,
    ...more,
  });
}

/** The head's process is proven dead from now on: whoever starts next takes over at once. */
async function buryHolder(client: MemoryReplicaClient): Promise<void> {
  const document = decodeHeadDocument(client.store.objects.get('head.json')?.bytes ?? new Uint8Array());
  const process = { ...document.process, pid: 2 ** 22 + 1, startTime: '1' };
  await client.put('head.json', encodeHeadDocument({ ...document, process }));
}

describe.concurrent('a writer that was replaced without knowing it', () => {
  test.for([
    { leaseTtlMs: 600_000, learns: 'at its end' },
    { leaseTtlMs: 200, learns: 'as soon as its put has arrived' },
  ])('a put that hangs on the way meanwhile (learnt $learns)', async ({ leaseTtlMs }, { expect: own }) => {
    // `own`: of several tests at once, only a test's own `expect` knows which test polls.
    await using place = await temporaryDirectory();
    const [ours, theirs] = await twoCopies(place);
    const client = new HangingClient();
    const stale = await replicator(client, ours.directory, { once: false, leaseTtlMs });
    const ended = stale.run(new AbortController().signal).then(
      () => null,
      (error: unknown) => error,
    );
    await own.poll(() => stale.status().stored?.tx).toBe(ours.commits.at(-1)?.last);
    client.hang = true;
    const before = ours.commits.length;
    await ours.grow(10);
    await client.hung.promise;
    const toldBefore = stale.status().stored?.tx;

    await buryHolder(client);
    await theirs.grow(20);
    await (await replicator(client, theirs.directory, { once: true, leaseTtlMs: 60_000 })).run(
      new AbortController().signal,
    );
    if (leaseTtlMs <= 1_000) await delay(leaseTtlMs);
    client.arrive.resolve();
    if (leaseTtlMs > 1_000) {
      await own.poll(() => stale.status().stored?.tx).toBe(ours.commits.at(-1)?.last);
      stale.drain();
    }
    expect(await ended).toBeInstanceOf(FencedError);
    if (leaseTtlMs <= 1_000) expect(stale.status().stored?.tx).toBe(toldBefore);

    const root = place.at('mirror');
    await mirror(client, root);
    const lines = await StoredLines.read(root, await readStored(root));
    const { generation } = await readHead(root);
    const [old = ''] = lines.names;
    expect(lines.names).toEqual([old, generation]);
    // It did arrive, and its generation is whole: that is what must not be mixed into the other's.
    const [mine, line] = [await lines.line(old), await lines.line(generation)];
    expect([mine.faults, line.faults]).toEqual([[], []]);
    // The put that hangs may have been cut before the last of these commits was written.
    if (leaseTtlMs > 1_000) expect(mine.commits).toHaveLength(ours.commits.length);
    expect(mine.commits.length).toBeGreaterThan(before);
    expect(partsFrom(mine.commits, ours)).toBeNull();
    expect(line.commits).toHaveLength(theirs.commits.length);
    expect(partsFrom(line.commits, theirs)).toBeNull();
  });

  const MORE = ['owner: game-0', 'lease-ttl: 5s', 'log: { level: debug, format: json }'];

  async function twoConfigs(place: TemporaryDirectory, copies: readonly DivergingCopy[], url: string) {
    return await Promise.all(
      copies.map(({ directory }, index) =>
        writeConfig(place.at(`${index}.yml`), { database: directory, url, more: MORE }),
      ),
    );
  }

  s3.test('a process that is stopped for longer than its ttl, and continued', async () => {
    await using place = await temporaryDirectory();
    await using store = await s3.open();
    const { url, env } = store;
    const [ours, theirs] = await twoCopies(place);
    const configs = await twoConfigs(place, [ours, theirs], url);
    await using first = startProgram(['replicate', '-config', configs[0] ?? ''], { env });
    await first.says(/"msg":"stored"/);
    first.kill('SIGSTOP');
    await ours.grow(10);
    await theirs.grow(20);
    // A copy of the machine, with the name of its owner left as another one, gets nothing however long that lasts.
    const clone = await writeConfig(place.at('clone.yml'), { database: ours.directory, url, more: ['owner: staging'] });
    await runBadly(['replicate', '-once', '-config', clone], { env, code: 11, says: [/belongs to owner game-0/] });
    // It lives as far as anybody can prove: the other one waits for a whole ttl by its own clock.
    await using second = startProgram(['replicate', '-config', configs[1] ?? ''], { env });
    await second.says(/"reason":"takeover"/);
    first.kill('SIGCONT');
    const { code, stderr } = await first.ended();
    expect(code, stderr).toBe(13);
    expect(stderr).toMatch(/another writer has taken over/);
    await theirs.grow(5);
    await endWell(second);
    await runWell(['restore', '-o', place.at('restored'), url], { env });
    const commits = commitsOf(await readDatabase(place.at('restored')));
    expect(commits).toHaveLength(theirs.commits.length);
    expect(partsFrom(commits, theirs)).toBeNull();
  });

  s3.test('what a killed process had sent arrives after another one has taken over', async () => {
    await using place = await temporaryDirectory();
    await using store = await s3.open();
    const { url, env, proxy } = store;
    const [ours, theirs] = await twoCopies(place);
    const configs = await twoConfigs(place, [ours, theirs], url);
    await using first = startProgram(['replicate', '-config', configs[0] ?? ''], { env });
    await first.says(/"msg":"stored"/);
    proxy.mode = { kind: 'keep', line: /PUT \S*\/log\// };
    await ours.grow(10);
    await first.until(() => proxy.stopped > 0, 'it to send an object');
    first.kill('SIGKILL');
    await first.ended();
    proxy.mode = store.mode;
    await theirs.grow(20);
    await using second = startProgram(['replicate', '-config', configs[1] ?? ''], { env });
    await second.says(/"reason":"takeover"/);
    expect(await proxy.deliver()).toEqual([expect.stringMatching(/ 200 /)]);
    await theirs.grow(5);
    await endWell(second);
    await runWell(['restore', '-o', place.at('restored'), url], { env });
    const commits = commitsOf(await readDatabase(place.at('restored')));
    expect(commits).toHaveLength(theirs.commits.length);
    expect(partsFrom(commits, theirs)).toBeNull();
    // It did arrive, and goes on from where its own generation was.
    const root = await store.asFiles();
    const lines = await StoredLines.read(root, await readStored(root));
    const [old = ''] = lines.names;
    const { commits: late, faults } = await lines.line(old);
    expect(faults).toEqual([]);
    expect(late.length).toBeGreaterThan(30);
    expect(partsFrom(late, ours)).toBeNull();
  });
});

async function endWell(program: RunningProgram): Promise<void> {
  program.kill('SIGTERM');
  const { code, stderr } = await program.ended();
  expect(code, stderr).toBe(0);
}
