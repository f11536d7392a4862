/**
 * Invariant: images have one writer at a time, under the rules of every head; each start that does not continue begins a
 * generation that branches at the newest image before it, so that all older images stay within the line.
 */
import { describe, expect, test, vi } from 'vitest';
import { ServerScene } from '../../../test/support/server-scene.ts';
import { VirtualClock } from '../../../test/support/virtual-clock.ts';
import { systemClock } from '../../core/clock.ts';
import type { GenerationDocument } from '../../layout/generation-document.ts';
import { type GenerationName, parseGenerationName } from '../../layout/keys.ts';
import { lineOf } from '../../layout/line.ts';
import { imagePosition } from '../../layout/server-keys.ts';
import { MemoryReplicaClient } from '../../replica/memory/memory-replica-client.ts';

const DEAD = { pid: 2 ** 22 + 1, startTime: '1' };

/** As a kill leaves the head. */
async function kill(scene: ServerScene): Promise<void> {
  const { process } = await scene.head();
  await scene.writeHead({ released: false, process: { ...process, ...DEAD } });
}

async function generations(scene: ServerScene): Promise<Map<GenerationName, GenerationDocument>> {
  const documents = new Map<GenerationName, GenerationDocument>();
  for (const key of await scene.keys('server/generations/')) {
    const name = key.split('/')[2] as GenerationName;
    if (key.endsWith('generation.json')) documents.set(name, await scene.generation(name));
  }
  return documents;
}

describe('one owner', () => {
  test('first, then released: the same generation', async () => {
    await using scene = await ServerScene.open();
    await scene.runOnce();
    const { generation } = await scene.head();
    expect(await scene.generation(generation)).toMatchObject({ reason: 'first', parent: null });
    scene.write('control-db/db', 'changed');
    await scene.runOnce();
    expect(await scene.head()).toMatchObject({ generation, released: true, position: null });
    expect((await scene.images()).map((found) => found.generation)).toEqual([generation, generation]);
  });

  test('killed: a new generation, which gets an image at once although nothing changed', async () => {
    await using scene = await ServerScene.open();
    await scene.runOnce();
    await kill(scene);
    await scene.runOnce();
    const [first, second, ...more] = await scene.images();
    expect(more).toEqual([]);
    expect(second?.image.hash).toBe(first?.image.hash);
    expect((second?.image.time ?? 0n) > (first?.image.time ?? 0n)).toBe(true);
    expect((await scene.head()).generation).toBe(second?.generation);
  });

  test('killed again and again: the line leads to every image, and to none that a stale writer adds', async () => {
    await using scene = await ServerScene.open();
    for (let round = 0; round < 4; round += 1) {
      scene.write('control-db/db', `round ${round}`);
      await scene.runOnce();
      await kill(scene);
    }
    const documents = await generations(scene);
    const images = await scene.images();
    const { generation } = await scene.head();
    const line = lineOf(generation, documents);
    const inLine = images.filter(({ generation: name, image }) => {
      const part = line.find((candidate) => candidate.generation === name);
      return part !== undefined && (part.until === null || imagePosition(image).tx <= part.until.tx);
    });
    expect(inLine).toEqual(images);
    expect(images).toHaveLength(4);
    const parent = line[0];
    // The next image of the first writer, which was not dead after all, would be later than the parent point.
    expect(parent?.until).toEqual(images[0] && imagePosition(images[0].image));
  });

  test('one that died before its first image passes its parent point on', async () => {
    await using scene = await ServerScene.open();
    await scene.runOnce();
    const [first] = await scene.images();
    for (let round = 0; round < 3; round += 1) {
      await kill(scene);
      const put = scene.client.put.bind(scene.client);
      scene.client.put = async (key, ...rest) => {
        if (key.includes('/images/')) throw new Error('killed');
        return put(key, ...rest);
      };
      await expect(scene.runOnce()).rejects.toThrow('killed');
      scene.client.put = put;
    }
    await kill(scene);
    await scene.runOnce();
    const documents = await generations(scene);
    expect(documents.size).toBe(5);
    const newest = await scene.generation((await scene.head()).generation);
    expect(newest.parent).toEqual(first && { generation: first.generation, position: imagePosition(first.image) });
  });

  test('a head that is gone: the newest generation that holds an image goes before', async () => {
    await using scene = await ServerScene.open();
    await scene.runOnce();
    await scene.client.delete(['server/head.json']);
    // Begun by somebody who died before the head named it.
    await scene.client.put('server/generations/00000005-ffffffff/generation.json', Buffer.from('x'));
    await scene.runOnce();
    const [first] = await scene.images();
    const { generation } = await scene.head();
    expect(parseGenerationName(generation)?.number).toBe(6);
    expect((await scene.generation(generation)).parent?.generation).toBe(first?.generation);
  });

  test('a lease whose holder may live is waited for; when it stands still for its ttl it is taken', async () => {
    await using scene = await ServerScene.open();
    await scene.runOnce();
    await scene.writeHead({ released: false });
    await scene.runOnce({ clock: new VirtualClock() });
    expect(await generations(scene)).toHaveProperty('size', 2);
  });

  test('told to end while it waits for a lease: exit 11, and nothing is taken', async () => {
    await using scene = await ServerScene.open();
    await scene.runOnce();
    await scene.writeHead({ released: false });
    const writer = await scene.writer({ once: false });
    const running = writer.run(new AbortController().signal);
    const ended = expect(running).rejects.toMatchObject({ code: 'LEASE_HELD', exitCode: 11 });
    await vi.waitFor(() => expect(writer.status()).toMatchObject({ state: 'starting', storeAnswered: true }));
    writer.drain();
    await ended;
    expect(await generations(scene)).toHaveProperty('size', 1);
  });
});

describe('another owner', () => {
  test.each([true, false])('is refused with exit 11, released: %s', async (released) => {
    await using scene = await ServerScene.open();
    await scene.runOnce();
    await scene.writeHead({ released });
    const keys = await scene.keys();
    await expect(scene.runOnce({ owner: 'staging' })).rejects.toMatchObject({ code: 'LEASE_HELD', exitCode: 11 });
    expect(await scene.keys()).toEqual(keys);
    expect((await scene.head()).owner).toBe('game-0');
  });

  test('takes it when told to, into a generation of its own', async () => {
    await using scene = await ServerScene.open();
    await scene.runOnce();
    await scene.runOnce({ owner: 'game-1', takeover: true });
    expect(await scene.head()).toMatchObject({ owner: 'game-1', released: true });
    expect(await generations(scene)).toHaveProperty('size', 2);
  });

  test('without a head it is refused by the generation', async () => {
    await using scene = await ServerScene.open();
    await scene.runOnce();
    await scene.client.delete(['server/head.json']);
    await expect(scene.runOnce({ owner: 'staging' })).rejects.toMatchObject({ code: 'CONFIGURATION' });
  });
});

test('a replaced writer is fenced at its next image, and stores none', async () => {
  await using scene = await ServerScene.open();
  const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + skipped };
  let skipped = 0;
  const writer = await scene.writer({ once: false, clock });
  const running = writer.run(new AbortController().signal);
  const ended = expect(running).rejects.toMatchObject({ code: 'FENCED', exitCode: 13 });
  await vi.waitFor(() => expect(writer.status().imagesStored).toBe(1), 5_000);
  await scene.writeHead({ session: 'another', owner: 'another' });
  skipped = 60_000;
  scene.write('control-db/db', 'changed');
  await ended;
  expect(await scene.images()).toHaveLength(1);
  expect(writer.status().lastError).toMatchObject({ code: 'FENCED' });
});

test('the backup of a single database is not overlaid', async () => {
  await using scene = await ServerScene.open();
  const { encodeFormatDocument } = await import('../../layout/format-document.ts');
  await scene.client.put('format.json', encodeFormatDocument({ kind: 'database' }));
  await expect(scene.runOnce()).rejects.toMatchObject({ code: 'CONFIGURATION', exitCode: 2 });
  expect(await scene.keys()).toEqual(['format.json']);
});

test('without conditional writes every start is a generation, and the head is never marked as released', async () => {
  await using scene = await ServerScene.open();
  const client = new MemoryReplicaClient({ store: scene.client.store, conditional: 'none' });
  const clock = new VirtualClock();
  const first = await scene.runOnce({ client, clock });
  expect(first.status().leaseMode).toBe('advisory');
  expect((await scene.head()).released).toBe(false);
  await scene.runOnce({ client, clock });
  expect(await generations(scene)).toHaveProperty('size', 2);
  expect(await scene.images()).toHaveLength(2);
});

test('requests of a start that continues and finds nothing to store', async () => {
  await using scene = await ServerScene.open();
  const asked: string[] = [];
  for (const call of ['put', 'get', 'head'] as const) {
    const inner = scene.client[call].bind(scene.client) as (...args: unknown[]) => Promise<never>;
    Object.assign(scene.client, {
      [call]: (key: string, ...rest: unknown[]) => {
        asked.push(`${call} ${key.replaceAll(/\d{8}-[0-9a-f]{8}|\d{8}T[^/]*/g, '*')}`);
        return inner(key, ...rest);
      },
    });
  }
  const list = scene.client.list.bind(scene.client);
  scene.client.list = (prefix, options) => {
    asked.push(`list ${prefix.replaceAll(/\d{8}-[0-9a-f]{8}/g, '*')}`);
    return list(prefix, options);
  };
  await scene.runOnce();
  asked.length = 0;
  await scene.runOnce();
  expect(asked).toEqual([
    'get server/head.json',
    'list server/generations/*/images/',
    'get server/generations/*/generation.json',
    'put server/head.json',
    'list server/program-bytes/',
    'put server/head.json',
  ]);
});
