// Invariant: snapshots of two databases are never in one line, also where the generation began before the first snapshot;
// and a snapshot is found when it becomes whole, whatever announces it.
import { rename, rm } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { ModelScene } from '../support/model-scene.ts';

/** Waits a hundredth of what it is asked to. */
const hasty = { ...systemClock, sleep: (ms: number, options?: object) => systemClock.sleep(ms / 100, options) };

test.each([false, true])('another database after the first snapshot; the writer started anew: %s', async (isNew) => {
  await using model = await ModelScene.open();
  await model.database.append(10);
  let one = await model.scene.replicator({ once: false, clock: hasty });
  let running = one.run(new AbortController().signal);
  await model.until(() => one.status().stored?.tx === 9n);
  await model.database.snapshot();
  await model.until(() => one.status().newestSnapshot === 9n);
  expect((await model.scene.generation()).databaseIdentity).toBeNull();
  if (isNew) {
    one.drain();
    await running;
  }
  await rm(model.scene.at('snapshots'), { recursive: true });
  model.database.identity = 'b'.repeat(64);
  await model.database.append(3);
  await model.database.snapshot();
  if (isNew) {
    one = await model.scene.replicator({ once: false, clock: hasty });
    running = one.run(new AbortController().signal);
  }
  await model.until(() => one.status().newestSnapshot === 12n && one.status().generationReason === 'replaced');
  one.drain();
  await running;
  expect(await model.scene.generation()).toMatchObject({ parent: null, databaseIdentity: 'b'.repeat(64) });
});

test('a snapshot that was copied in without a lock, its file last', async () => {
  await using model = await ModelScene.open();
  await model.database.append(10);
  await model.database.snapshot();
  const name = '00000000000000000009';
  const file = model.scene.at('snapshots', `${name}.snapshot_dir`, `${name}.snapshot_bsatn`);
  await rename(file, model.scene.beside('aside'));
  const one = await model.scene.replicator({ once: false, clock: hasty });
  const running = one.run(new AbortController().signal);
  await model.until(() => one.status().stored?.tx === 9n);
  // Some passes over the directory, which has all of its names.
  await systemClock.sleep(400);
  await rename(model.scene.beside('aside'), file);
  await model.until(() => one.status().newestSnapshot === 9n);
  one.drain();
  await running;
});
