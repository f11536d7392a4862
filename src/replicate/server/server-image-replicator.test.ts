/**
 * Invariant: every image in the store is whole and proven, holds exactly what the directory held at one moment, and is
 * there once; what does not change costs no request; nothing that is unknown, half written or bad is ever stored.
 */
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { describe, expect, test, vi } from 'vitest';
import { ServerScene } from '../../../test/support/server-scene.ts';
import { VirtualClock } from '../../../test/support/virtual-clock.ts';
import { ByteBudget } from '../../core/byte-budget.ts';
import { blake3Hex } from '../../core/checksum.ts';
import { type Log, silentLog } from '../../core/log.ts';
import { diskFiles, type ReadableFiles } from '../../core/readable-files.ts';
import { crc32cValue, txOffset } from '../../core/types.ts';
import { decodeFormatDocument } from '../../layout/format-document.ts';
import { makeGenerationName } from '../../layout/keys.ts';
import { imagePosition, programKey } from '../../layout/server-keys.ts';
import { meteredClient } from '../../replica/wrap/metered.ts';
import { readBody } from '../../replica/replica-client.ts';
import { keccak256Hex } from '../../spacetimedb/keccak.ts';
import { decodeFrameSync } from '../../zstd/frame.ts';

const PROGRAM = 'bfee21bc0841f79ebb4b9577c0bbca75447c13190559dbbf9161a961ef114be0';
const programPath = (hash: string): string => `program-bytes/${hash.slice(0, 2)}/${hash.slice(2)}`;

function warnings(): { log: Log; said: string[] } {
  const said: string[] = [];
  const log: Log = { ...silentLog, warn: (message) => void said.push(message), child: () => log };
  return { log, said };
}

describe('one pass', () => {
  test('stores the files, empty directories, programs and databases, and nothing else', async () => {
    await using scene = await ServerScene.open();
    for (const name of ['spacetime.pid', 'logs/server.log', 'cache/wasmtime/x', 'note.txt']) scene.write(name, 'no');
    scene.write('replicas/1/db.lock', 'no');
    scene.write('replicas/9/module_logs/2026-01-01.log', 'no database here');
    scene.write(`${programPath(PROGRAM)}.tmp12345`, 'half');
    chmodSync(scene.at('config.toml'), 0o640);
    const position = { generation: makeGenerationName(4, '11111111'), tx: txOffset(7), crc: crc32cValue(9) };
    await scene.runOnce({
      replicas: () => [
        { replicaId: 3n, position },
        { replicaId: 77n, position },
      ],
    });
    const [image, ...more] = await scene.images();
    expect(more).toEqual([]);
    expect(image?.manifest.files.map(({ path }) => path)).toEqual([
      'config.toml',
      'control-db/conf',
      'control-db/db',
      'metadata.toml',
    ]);
    for (const [path, plain] of image?.files ?? []) expect(readFileSync(scene.at(path)).equals(plain), path).toBe(true);
    for (const { path, bytes, blake3 } of image?.manifest.files ?? []) {
      const plain = image?.files.get(path) ?? new Uint8Array();
      expect([plain.byteLength, blake3Hex(plain)]).toEqual([bytes, blake3]);
    }
    expect(image?.manifest.files[0]?.mode).toBe(0o640);
    expect(image?.manifest.directories).toEqual(['control-db', 'control-db/blobs']);
    expect(image?.manifest.programs).toEqual([PROGRAM]);
    expect(image?.manifest.replicas).toEqual([
      { replicaId: 1n, position: null },
      { replicaId: 3n, position },
    ]);
    const program = decodeFrameSync(await scene.read(programKey(PROGRAM)), { plainBytesMax: 1e6 });
    expect(readFileSync(scene.at(programPath(PROGRAM))).equals(program)).toBe(true);
    expect(await scene.keys()).toHaveLength(1 + 2 + 4 + 1 + 1);
    const format = await readBody(await scene.client.get('format.json'), 1e6);
    expect(decodeFormatDocument(format).kind).toBe('server');
  });

  test('a database that is deleted once control-db was copied is named all the same: the copy knows it', async () => {
    await using scene = await ServerScene.open();
    // Opened last, and so deleted behind every reading of control-db.
    const files: ReadableFiles = {
      ...diskFiles,
      open: async (path) => {
        if (path === scene.at('metadata.toml')) rmSync(scene.at('replicas/3'), { recursive: true, force: true });
        return diskFiles.open(path);
      },
    };
    await scene.runOnce({ files });
    const [image] = await scene.images();
    expect(image?.manifest.replicas.map(({ replicaId }) => replicaId)).toEqual([1n, 3n]);
  });

  test('a second pass goes on in the generation and stores nothing', async () => {
    await using scene = await ServerScene.open();
    await scene.runOnce();
    const keys = await scene.keys();
    const writer = await scene.runOnce();
    expect(await scene.keys()).toEqual(keys);
    expect(writer.status()).toMatchObject({ imagesStored: 0, programsStored: 0, state: 'stopped', lastError: null });
    expect(writer.status().lastSuccess).not.toBeNull();
  });

  test.each<[string, (scene: ServerScene) => void]>([
    ['content', (scene) => scene.write('control-db/db', 'other')],
    ['a mode', (scene) => chmodSync(scene.at('config.toml'), 0o600)],
    ['a file more', (scene) => scene.write('control-db/snap.0000000000000001', 'x')],
    ['a file less', (scene) => rmSync(scene.at('config.toml'))],
    ['an empty directory more', (scene) => mkdirSync(scene.at('control-db/more'))],
    ['a database less', (scene) => rmSync(scene.at('replicas/3'), { recursive: true })],
    ['a program less', (scene) => rmSync(scene.at(programPath(PROGRAM)))],
  ])('%s: another image, later than the first', async (_, change) => {
    await using scene = await ServerScene.open();
    await scene.runOnce();
    change(scene);
    await scene.runOnce({ clock: new VirtualClock() });
    const images = await scene.images();
    expect(images).toHaveLength(2);
    // Also by a clock that stands in 1970.
    expect(images[1]?.image.time).toBe((images[0]?.image.time ?? 0n) + 1n);
  });

  test('extra files; a missing one is told and holds nothing back', async () => {
    await using scene = await ServerScene.open();
    writeFileSync(scene.beside('id_ecdsa'), 'secret', { mode: 0o600 });
    const { log, said } = warnings();
    const extraFiles = [
      { name: 'id_ecdsa', path: scene.beside('id_ecdsa') },
      { name: 'absent', path: scene.beside('absent') },
      { name: 'directory', path: scene.data },
    ];
    await scene.runOnce({ extraFiles, log });
    const [image] = await scene.images();
    expect(Buffer.from(image?.files.get('extra/id_ecdsa') ?? []).toString()).toBe('secret');
    expect(image?.manifest.files.find(({ path }) => path === 'extra/id_ecdsa')?.mode).toBe(0o600);
    expect(image?.manifest.files.filter(({ path }) => path.startsWith('extra/'))).toHaveLength(1);
    expect(said).toEqual([expect.stringContaining('no such file'), expect.stringContaining('is no file')]);
  });

  test('extra files need names of their own', async () => {
    await using scene = await ServerScene.open();
    const path = scene.beside('x');
    for (const names of [['a', 'a'], ['..'], ['a/b'], ['.stdb-restore-1'], ['']]) {
      const extraFiles = names.map((name) => ({ name, path }));
      await expect(scene.writer({ extraFiles })).rejects.toMatchObject({ code: 'CONFIGURATION' });
    }
  });

  test('without a control-db there is nothing to store: exit 2, and the store is not asked', async () => {
    await using scene = await ServerScene.open();
    rmSync(scene.at('control-db'), { recursive: true });
    const writer = await scene.writer();
    await expect(writer.run(new AbortController().signal)).rejects.toMatchObject({
      code: 'CONFIGURATION',
      exitCode: 2,
    });
    expect(await scene.keys()).toEqual([]);
    expect(writer.status()).toMatchObject({ storeAnswered: false, lastError: { code: 'CONFIGURATION' } });
  });

  test('a name in control-db that no server gives is left out and told', async () => {
    await using scene = await ServerScene.open();
    scene.write('control-db/.nfs0001', 'x');
    scene.write('control-db/a b', 'x');
    const { log, said } = warnings();
    await scene.runOnce({ log });
    expect((await scene.images())[0]?.manifest.files.map(({ path }) => path)).not.toContain('control-db/a b');
    expect(said).toEqual([expect.stringContaining('.nfs0001'), expect.stringContaining('a b')]);
  });
});

describe('a program that is not what its name says', () => {
  test('is never stored; the image goes without it, and the exit code says so', async () => {
    await using scene = await ServerScene.open();
    const bytes = readFileSync(scene.at(programPath(PROGRAM)));
    scene.write(programPath(PROGRAM), bytes.subarray(0, bytes.length - 1));
    const { log, said } = warnings();
    const writer = await scene.writer({ log, clock: new VirtualClock() });
    await expect(writer.run(new AbortController().signal)).rejects.toMatchObject({ code: 'CORRUPTION', exitCode: 14 });
    expect((await scene.images()).map(({ manifest }) => manifest.programs)).toEqual([[]]);
    expect(await scene.keys('server/program-bytes/')).toEqual([]);
    expect(said).toEqual([expect.stringContaining(PROGRAM)]);
    expect((await scene.head()).released).toBe(true);
    scene.write(programPath(PROGRAM), bytes);
    await scene.runOnce({ clock: new VirtualClock() });
    expect((await scene.images()).at(-1)?.manifest.programs).toEqual([PROGRAM]);
  });

  test('is waited for while it is being written, before any image may name it', async () => {
    await using scene = await ServerScene.open();
    const whole = Buffer.alloc(300_000, 'program');
    const hash = keccak256Hex(whole);
    scene.write(programPath(hash), whole.subarray(0, 100_000));
    const clock = new VirtualClock();
    const sleep = clock.sleep.bind(clock);
    let sleeps = 0;
    clock.sleep = async (ms, options) => {
      sleeps += 1;
      if (sleeps === 2) scene.write(programPath(hash), whole);
      await sleep(ms, options);
    };
    await scene.runOnce({ clock });
    expect((await scene.images()).map(({ manifest }) => manifest.programs)).toEqual([[hash, PROGRAM].sort()]);
  });

  test('one that appears between the programs and the copy is stored before the image', async () => {
    await using scene = await ServerScene.open();
    const whole = Buffer.from('a module published at the worst moment');
    const hash = keccak256Hex(whole);
    const clock = new VirtualClock();
    const sleep = clock.sleep.bind(clock);
    clock.sleep = async (ms, options) => {
      scene.write(programPath(hash), whole);
      await sleep(ms, options);
    };
    const order: string[] = [];
    const put = scene.client.put.bind(scene.client);
    scene.client.put = async (key, ...rest) => {
      const done = await put(key, ...rest);
      order.push(key);
      return done;
    };
    await scene.runOnce({ clock });
    const manifest = order.findIndex((key) => key.endsWith('manifest.json'));
    expect(order.indexOf(`server/${programKey(hash)}`)).toBeGreaterThan(0);
    expect(order.indexOf(`server/${programKey(hash)}`)).toBeLessThan(manifest);
    expect(order.slice(manifest + 1)).toEqual(['server/head.json']);
    expect(await scene.images()).toHaveLength(1);
  });
});

describe('a service', () => {
  test('waits for a server, stores what changes, costs nothing while nothing does, and hands over', async () => {
    await using scene = await ServerScene.open();
    const { client, counters } = meteredClient(scene.client, { clock: new VirtualClock() });
    const requests = (): number =>
      Object.values(counters().operations).reduce((sum, operation) => sum + operation.requests, 0);
    const control = readFileSync(scene.at('control-db/db'));
    rmSync(scene.at('control-db/db'));
    rmSync(scene.at('control-db/conf'));
    const writer = await scene.writer({ once: false, client });
    const running = writer.run(new AbortController().signal);
    await vi.waitFor(() => expect(writer.status().state).toBe('waiting'));
    expect(requests()).toBe(0);
    scene.write('control-db/db', control);
    await vi.waitFor(() => expect(writer.status()).toMatchObject({ state: 'watching', imagesStored: 1 }), 5_000);
    const idle = requests();
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(requests()).toBe(idle);
    scene.write('control-db/conf', 'new');
    await vi.waitFor(() => expect(writer.status()).toMatchObject({ state: 'watching', imagesStored: 2 }), 5_000);
    scene.write('control-db/conf', 'last');
    writer.drain();
    await running;
    const images = await scene.images();
    expect(images.map(({ files }) => Buffer.from(files.get('control-db/conf') ?? []).toString())).toEqual([
      '',
      'new',
      'last',
    ]);
    expect((await scene.head()).released).toBe(true);
    expect(writer.status()).toMatchObject({ state: 'stopped', pendingSeconds: 0, lastImage: images[2]?.image.time });
  });

  test('an event brings the look long before its time', async () => {
    await using scene = await ServerScene.open();
    const writer = await scene.writer({ once: false, intervalMs: 600_000 });
    const running = writer.run(new AbortController().signal);
    await vi.waitFor(() => expect(writer.status()).toMatchObject({ state: 'watching', imagesStored: 1 }), 5_000);
    scene.write('control-db/db', 'published');
    await vi.waitFor(() => expect(writer.status()).toMatchObject({ state: 'watching', imagesStored: 2 }), 10_000);
    scene.write('replicas/4/clog/00000000000000000000.stdb.log', 'x'.repeat(100));
    await vi.waitFor(() => expect(writer.status()).toMatchObject({ state: 'watching', imagesStored: 3 }), 10_000);
    writer.drain();
    await running;
    expect((await scene.images()).at(-1)?.manifest.replicas.map(({ replicaId }) => replicaId)).toEqual([1n, 3n, 4n]);
  }, 30_000);

  test('a control-db that is gone ends no service, and no image without one is stored', async () => {
    await using scene = await ServerScene.open();
    const { log, said } = warnings();
    const writer = await scene.writer({ once: false, log });
    const running = writer.run(new AbortController().signal);
    await vi.waitFor(() => expect(writer.status().imagesStored).toBe(1), 5_000);
    const control = readFileSync(scene.at('control-db/db'));
    rmSync(scene.at('control-db'), { recursive: true });
    await vi.waitFor(() => expect(said).toEqual([expect.stringContaining('no control-db')]), 5_000);
    scene.write('control-db/db', control);
    await vi.waitFor(() => expect(writer.status().imagesStored).toBe(2), 5_000);
    writer.drain();
    await running;
    expect(await scene.images()).toHaveLength(2);
  });

  test('told to end before there is a server, it asks nothing', async () => {
    await using scene = await ServerScene.open();
    rmSync(scene.at('control-db'), { recursive: true });
    const writer = await scene.writer({ once: false });
    const running = writer.run(new AbortController().signal);
    await vi.waitFor(() => expect(writer.status().state).toBe('waiting'));
    writer.drain();
    await running;
    expect(await scene.keys()).toEqual([]);
  });

  test('a local failure is tried again by a service and ends a single pass', async () => {
    await using scene = await ServerScene.open();
    const { diskFiles } = await import('../../core/readable-files.ts');
    let broken = true;
    const files = {
      ...diskFiles,
      open: async (path: string) => {
        if (broken && path.endsWith('control-db/db')) throw Object.assign(new Error('EIO: broken'), { code: 'EIO' });
        return diskFiles.open(path);
      },
    };
    const once = await scene.writer({ files });
    await expect(once.run(new AbortController().signal)).rejects.toMatchObject({ code: 'LOCAL_FILE' });
    expect(await scene.images()).toEqual([]);
    const { log, said } = warnings();
    const writer = await scene.writer({ files, log, once: false });
    const running = writer.run(new AbortController().signal);
    await vi.waitFor(() => expect(writer.status().lastError).toMatchObject({ code: 'LOCAL_FILE' }), 5_000);
    broken = false;
    await vi.waitFor(() => expect(writer.status()).toMatchObject({ state: 'watching', imagesStored: 1 }), 8_000);
    writer.drain();
    await running;
    expect(said).toEqual([expect.stringContaining('EIO')]);
  }, 20_000);

  test('an extra file that cannot be read holds nothing back, and is told of', async () => {
    await using scene = await ServerScene.open();
    const { diskFiles } = await import('../../core/readable-files.ts');
    writeFileSync(scene.beside('key'), 'secret');
    const files = {
      ...diskFiles,
      open: async (path: string) => {
        if (path === scene.beside('key')) throw Object.assign(new Error('EACCES: no'), { code: 'EACCES' });
        return diskFiles.open(path);
      },
    };
    const writer = await scene.writer({ files, extraFiles: [{ name: 'key', path: scene.beside('key') }] });
    await expect(writer.run(new AbortController().signal)).rejects.toMatchObject({ code: 'LOCAL_FILE' });
    expect((await scene.images()).map(({ files: found }) => [...found.keys()].includes('control-db/db'))).toEqual([
      true,
    ]);
    expect((await scene.head()).released).toBe(true);
  });
});

describe('memory', () => {
  test('a budget smaller than anything there is still lets all through, and is given back', async () => {
    await using scene = await ServerScene.open();
    const budget = new ByteBudget(1000);
    await scene.runOnce({ budget });
    expect(await scene.images()).toHaveLength(1);
    expect(budget.held).toBe(0);
  });

  test('no more is held than the largest of: a program twice, the files twice', async () => {
    await using scene = await ServerScene.open();
    const budget = new ByteBudget(96 * 1024 * 1024);
    let most = 0;
    const put = scene.client.put.bind(scene.client);
    scene.client.put = (...call) => {
      most = Math.max(most, budget.held);
      return put(...call);
    };
    await scene.runOnce({ budget });
    expect(most).toBeGreaterThan(239_579);
    expect(most).toBeLessThan(2 * 239_579 + 70_000);
    expect(budget.held).toBe(0);
  });
});

test('the point of an image in its line is its name', async () => {
  await using scene = await ServerScene.open();
  await scene.runOnce();
  const [first] = await scene.images();
  await scene.writeHead({
    released: false,
    process: { ...(await scene.head()).process, pid: 2 ** 22 + 1, startTime: '1' },
  });
  await scene.runOnce();
  const [, second] = await scene.images();
  const generation = second && (await scene.generation(second.generation));
  expect(generation).toMatchObject({ reason: 'takeover', databaseIdentity: null, replicaId: null });
  expect(generation?.parent).toEqual(first && { generation: first.generation, position: imagePosition(first.image) });
});
