// Invariant: what happens to the directory while a writer runs is decided as at a start: it goes on only where the log
// proves to be the same one; else a new generation begins, and the default line is the local log again.
import { cp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { diskFiles, type ReadableFiles } from '../../src/core/readable-files.ts';
import { UnavailableError } from '../../src/replica/replica-client.ts';
import type { Replicator, ReplicatorOptions } from '../../src/replicate/replicator.ts';
import { commitNames, ModelScene } from '../support/model-scene.ts';

interface Running {
  readonly model: ModelScene;
  readonly one: Replicator;
  /** Until all that is there is stored. */
  readonly caughtUp: () => Promise<void>;
  readonly reasons: () => Readonly<Record<string, number>>;
}

/** A writer that has stored 20 commits; afterwards the line must be the local log. */
async function whileRunning(act: (running: Running) => Promise<void>, options: Partial<ReplicatorOptions> = {}) {
  await using model = await ModelScene.open();
  await model.database.append(10);
  await model.database.append(10, { rotate: true });
  const one = await model.scene.replicator({ once: false, clock: hasty, random: () => 0, ...options });
  const stop = new AbortController();
  const running = one.run(stop.signal);
  running.catch(() => undefined);
  const caughtUp = async (): Promise<void> => {
    const last = (await model.database.log()).at(-1);
    await model.until(() => {
      const { stored, state } = one.status();
      return state === 'streaming' && stored?.tx === last?.last && stored?.crc === last?.crc;
    });
  };
  try {
    await caughtUp();
    await act({ model, one, caughtUp, reasons: () => one.status().generationsBegun ?? {} });
    await caughtUp();
    one.drain();
    await running;
    await model.expectLineIsLocal();
    expect((await model.scene.head()).released).toBe(true);
  } finally {
    stop.abort(new Error('the test is over'));
    await running.catch(() => undefined);
  }
}

/** Waits a hundredth of what it is asked to. */
const hasty = { ...systemClock, sleep: (ms: number, options?: object) => systemClock.sleep(ms / 100, options) };

test('cut back and grown past the old end between two looks', async () => {
  await whileRunning(async ({ model, caughtUp, reasons }) => {
    const old = commitNames((await model.restore()).log);
    const { generation } = await model.scene.generation();
    await model.database.cutBack(14n);
    await model.database.append(30);
    await caughtUp();
    expect(reasons()).toEqual({ first: 1, 'rolled-back': 1 });
    expect(await model.scene.generation()).toMatchObject({ parent: { generation, position: { tx: 14n } } });
    expect(commitNames((await model.restore({ generation })).log)).toEqual(old);
  });
});

test('cut back, once more, and once more: each is a generation, all are kept', async () => {
  await whileRunning(async ({ model, caughtUp, reasons }) => {
    for (const tx of [15n, 12n, 9n]) {
      await model.database.cutBack(tx);
      await model.database.append(6);
      await caughtUp();
    }
    expect(reasons()).toEqual({ first: 1, 'rolled-back': 3 });
  });
});

test('the directory is made anew with the same commits: proven, and gone on with', async () => {
  await whileRunning(async ({ model, caughtUp, reasons }) => {
    await cp(model.scene.at('clog'), model.scene.beside('copy'), { recursive: true });
    await rename(model.scene.at('clog'), model.scene.beside('away'));
    await rename(model.scene.beside('copy'), model.scene.at('clog'));
    await model.database.append(5);
    await caughtUp();
    expect(reasons()).toEqual({ first: 1 });
  });
});

test('an earlier segment is replaced by one that differs, the newest is not: never gone on with', async () => {
  await whileRunning(async ({ model, caughtUp, reasons }) => {
    const other = await ModelScene.open({ seed: 99 });
    await using _ = other;
    await other.database.append(10);
    await rename(other.database.segmentPath(0n), model.database.segmentPath(0n));
    await model.database.append(5);
    await caughtUp();
    expect(reasons()).toEqual({ first: 1, 'rolled-back': 1 });
    expect((await model.scene.generation()).parent).toBeNull();
  });
});

test('closed segments are compressed and leading ones removed while it reads: nothing new begins', async () => {
  await whileRunning(async ({ model, caughtUp, reasons }) => {
    await model.database.append(10, { rotate: true });
    await caughtUp();
    await model.database.compress();
    await model.database.append(10);
    await model.database.append(10, { rotate: true });
    await caughtUp();
    await model.database.snapshot(45n);
    await model.database.prune(45n);
    await model.database.append(3);
    await caughtUp();
    expect(reasons()).toEqual({ first: 1 });
  });
});

test('removed altogether and begun again by another database: replaced, or nothing in common', async () => {
  await whileRunning(async ({ model, one, caughtUp, reasons }) => {
    await model.database.remove();
    await model.until(() => one.status().state === 'waiting');
    model.database.identity = 'b'.repeat(64);
    await model.database.append(4);
    await model.database.snapshot();
    await caughtUp();
    const { reason, parent, databaseIdentity } = await model.scene.generation();
    expect(parent).toBeNull();
    // Who the database is stands in its snapshot: one that was looked at before it was there is known by its log alone.
    expect(['replaced', 'rolled-back']).toContain(reason);
    expect(['b'.repeat(64), null]).toContain(databaseIdentity);
    expect(reasons()['first']).toBe(1);
  });
});

test('a snapshot of another database appears: replaced, without a parent', async () => {
  await using model = await ModelScene.open();
  await model.database.append(10);
  await model.database.snapshot();
  const one = await model.scene.replicator({ once: false, clock: hasty });
  const running = one.run(new AbortController().signal);
  await model.until(() => one.status().newestSnapshot === 9n);
  await rm(model.scene.at('snapshots'), { recursive: true });
  model.database.identity = 'b'.repeat(64);
  await model.database.append(3);
  await model.database.snapshot();
  await model.until(() => one.status().newestSnapshot === 12n && one.status().generationReason === 'replaced');
  one.drain();
  await running;
  expect(await model.scene.generation()).toMatchObject({ parent: null, databaseIdentity: 'b'.repeat(64) });
  expect((await model.expectLineIsLocal()).snapshot).toBe(12n);
});

/** The disk, failing the calls that the test says. */
function failingFiles(): { files: ReadableFiles; failures: { left: number; code: string } } {
  const failures = { left: 0, code: 'EIO' };
  const perhaps = <T>(work: () => Promise<T>): Promise<T> => {
    if (failures.left <= 0) return work();
    failures.left -= 1;
    return Promise.reject(Object.assign(new Error(`${failures.code}: injected`), { code: failures.code }));
  };
  return {
    failures,
    files: {
      list: (path) => perhaps(() => diskFiles.list(path)),
      facts: (path) => perhaps(() => diskFiles.facts(path)),
      open: (path) => perhaps(() => diskFiles.open(path)),
    },
  };
}

test.each(['EIO', 'EMFILE', 'EACCES', 'ENOSPC'])(
  '%s of the source ends no service, and no generation',
  async (code) => {
    const { files, failures } = failingFiles();
    await whileRunning(
      async ({ model, one, caughtUp, reasons }) => {
        failures.code = code;
        for (const times of [1, 4]) {
          failures.left = times;
          await model.database.append(2);
          await model.until(() => failures.left === 0);
          await caughtUp();
        }
        expect(one.status().lastError?.message).toContain(code);
        expect(reasons()).toEqual({ first: 1 });
      },
      { files },
    );
  },
);

test('in one pass a local error is the pass’s', async () => {
  await using model = await ModelScene.open();
  await model.database.append(3);
  const { files, failures } = failingFiles();
  failures.left = 1e9;
  await expect(model.scene.runOnce({ files })).rejects.toMatchObject({ code: 'LOCAL_FILE' });
});

test('what was sent and never answered is in no line that goes on: it may still arrive', async () => {
  await using model = await ModelScene.open();
  await model.database.append(10);
  const { client } = model.scene;
  const put = client.put.bind(client);
  const late: (() => Promise<unknown>)[] = [];
  client.put = async (key, body, options) => {
    if (late.length > 0 || !key.includes('/log/')) return put(key, body, options);
    late.push(() => put(key, body));
    throw new UnavailableError('no answer');
  };
  const one = await model.scene.replicator({ once: false, clock: hasty });
  const running = one.run(new AbortController().signal);
  await model.until(() => one.status().stored?.tx === 9n);
  one.drain();
  await running;
  for (const arrives of late) await arrives();
  expect(one.status().generationsBegun).toEqual({ first: 1, takeover: 1 });
  await model.expectLineIsLocal();
});

test('a log that keeps changing makes generations more and more seldom', async () => {
  await using model = await ModelScene.open();
  await model.database.append(10);
  const naps: number[] = [];
  const clock = {
    ...systemClock,
    sleep: (ms: number, options?: object) => {
      if (ms >= 250) naps.push(ms);
      return systemClock.sleep(Math.min(ms, 5), options);
    },
  };
  // No other sleep is a multiple of these: a look at the moment at which the file is cut finds no log, and waits a second.
  const one = await model.scene.replicator({ once: false, clock, random: () => 0.52 });
  const running = one.run(new AbortController().signal);
  for (let times = 0; times < 6; times += 1) {
    const last = (await model.database.log()).at(-1);
    await model.until(() => one.status().stored?.crc === last?.crc);
    await model.database.cutBack(5n);
    await model.database.append(5);
  }
  const last = (await model.database.log()).at(-1);
  await model.until(() => one.status().stored?.crc === last?.crc);
  one.drain();
  await running;
  const pauses = naps.filter((ms) => Math.round(ms) % 380 === 0).map(Math.round);
  expect(pauses.slice(0, 4)).toEqual([760, 1520, 3040, 6080]);
  await model.expectLineIsLocal();
});

test('a segment that is garbage is waited for, not guessed at, and gone on with once it is whole again', async () => {
  await using model = await ModelScene.open();
  await model.database.append(10);
  const one = await model.scene.replicator({ once: false, clock: hasty });
  const running = one.run(new AbortController().signal);
  await model.until(() => one.status().stored?.tx === 9n);
  await model.database.append(10, { rotate: true });
  await model.until(() => one.status().stored?.tx === 19n);
  const whole = await readFile(model.database.segmentPath(10n));
  await writeFile(model.database.segmentPath(10n), Buffer.alloc(whole.byteLength + 500, 0x55));
  await model.until(() => one.status().damage !== null || one.status().generationReason !== 'first');
  await rm(model.database.segmentPath(10n));
  await writeFile(model.database.segmentPath(10n), whole);
  await model.database.append(3);
  await model.until(() => one.status().stored?.tx === 22n);
  one.drain();
  await running;
  await model.expectLineIsLocal();
});
