// Invariant: whichever of a server's files cannot be looked at or read for a while, with whatever cause: its image is
// stored in the end, whole, no file is left open, and a look that fails as the last one is no good end.
import { beforeAll, describe, expect, test } from 'vitest';
import { FaultyFiles, type SourceCall } from '../../../test/support/faulty-files.ts';
import { type FoundImage, ServerScene } from '../../../test/support/server-scene.ts';
import { type Clock, systemClock } from '../../core/clock.ts';
import { diskFiles } from '../../core/readable-files.ts';
import type { ServerImageReplicator } from './server-image-replicator.ts';

const hasty: Clock = { ...systemClock, sleep: (ms, options) => systemClock.sleep(Math.min(ms, 2), options) };
const never = new AbortController().signal;

async function until(writer: ServerImageReplicator, holds: () => boolean): Promise<void> {
  while (!holds()) {
    if (writer.status().state === 'stopped') throw new Error(`it ended: ${writer.status().lastError?.message}`);
    await systemClock.sleep(2);
  }
}

const CALLS: readonly (readonly [what: string, call: SourceCall, of: RegExp])[] = [
  ['listing the control-db', 'list', /control-db$/],
  ['looking at a file of it', 'facts', /control-db\/db$/],
  ['opening a file of it', 'open', /control-db\/db$/],
  ['reading a file of it', 'file.read', /control-db\/db$/],
  ['opening metadata.toml', 'open', /metadata\.toml$/],
  ['reading metadata.toml', 'file.read', /metadata\.toml$/],
  ['listing the replicas', 'list', /replicas$/],
  ['listing the programs', 'list', /program-bytes/],
  ['opening a program', 'open', /program-bytes\/../],
  ['reading a program', 'file.read', /program-bytes\/../],
];

let whole: FoundImage | undefined;
beforeAll(async () => {
  await using scene = await ServerScene.open();
  await scene.runOnce({ clock: hasty });
  [whole] = await scene.images();
});

describe.concurrent.each(CALLS)('%s fails three times', (_, failing, of) => {
  test.each(['EACCES', 'EMFILE', 'ENOSPC', 'EIO'] as const)('with %s', async (code) => {
    await using scene = await ServerScene.open();
    let left = 3;
    const isStruck = (call: SourceCall, path: string): boolean => call === failing && of.test(path) && left-- > 0;
    const files = new FaultyFiles(diskFiles, { fails: (_number, call, path) => (isStruck(call, path) ? code : null) });
    const writer = await scene.writer({ files, clock: hasty, once: false });
    const running = writer.run(never);
    running.catch(() => undefined);
    await until(writer, () => writer.status().state === 'watching' && files.struck === 3);
    writer.drain();
    await running;
    const image = (await scene.images()).at(-1);
    if (whole === undefined) throw new Error('no image to compare with');
    expect(image?.files).toEqual(whole.files);
    expect(image?.manifest.programs).toEqual(whole.manifest.programs);
    expect(files.openFiles).toBe(0);
  });
});

test('told to end while it waits for a server whose files it cannot look at: that is no good end', async () => {
  await using scene = await ServerScene.open();
  const files = new FaultyFiles(diskFiles, {
    fails: (_number, _call, path) => (path.endsWith('control-db') ? 'EACCES' : null),
  });
  const writer = await scene.writer({ files, clock: hasty, once: false });
  const running = writer.run(never);
  running.catch(() => undefined);
  await until(writer, () => writer.status().lastError !== null);
  writer.drain();
  await expect(running).rejects.toMatchObject({ code: 'LOCAL_FILE' });
  expect(await scene.keys()).toEqual([]);
});
