/**
 * Invariant: a server's data directory that never stands still, two databases growing while its control-db is rewritten
 * and a module is published, is stored in images of one moment each, and comes back as it was when the service ended.
 */
import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { imageManifestKey, parseRootKey, parseServerKey, programKey } from '../../src/layout/server-keys.ts';
import { decodeImageManifest } from '../../src/layout/image-manifest.ts';
import { keccak256Hex } from '../../src/spacetimedb/keccak.ts';
import { decodeFrameSync } from '../../src/zstd/frame.ts';
import { compareRestored } from '../support/compare-restored.ts';
import { databaseBesideStore, runWell } from '../support/database-beside-store.ts';
import { GrowingDatabase } from '../support/growing-database.ts';
import { startProgram } from '../support/program.ts';
import { readDatabase } from '../support/recorded-database.ts';
import { listKeys } from '../support/stored-log.ts';
import { copyVector, vectorDirectory } from '../vectors/vectors.ts';

const CONTROL = ['db', 'conf', 'blobs/1', 'snap.0'];
const ROUNDS = 120;

/** One number all over the file, written in place as sled does. */
async function writeRound(directory: string, round: number): Promise<void> {
  const page = Buffer.alloc(8 * 1024);
  for (let at = 0; at < page.length; at += 4) page.writeUInt32LE(round, at);
  for (const name of CONTROL) {
    await mkdir(dirname(join(directory, name)), { recursive: true });
    await using file = await open(join(directory, name), round === 0 ? 'w' : 'r+');
    await file.write(page, 0, page.length, 0);
  }
}

async function publish(data: string, module: Buffer): Promise<string> {
  const hash = keccak256Hex(module);
  const path = join(data, 'program-bytes', hash.slice(0, 2), hash.slice(2));
  await mkdir(dirname(path), { recursive: true });
  // Seen half written by whoever looks meanwhile: not every server writes beside and renames.
  await writeFile(path, module.subarray(0, module.length / 2));
  await delay(30);
  await writeFile(path, module);
  return hash;
}

test('stored while it moves, restored as it ended', async () => {
  await using place = await databaseBesideStore(null);
  const data = place.database;
  copyVector('server-2.8', data);
  const control = join(data, 'control-db');
  await writeRound(control, 0);
  const source = await readDatabase(vectorDirectory('v2-small'));
  const databases = [7, 8].map((id) => new GrowingDatabase(join(data, 'replicas', `${id}`), source));
  await databases[0]?.create();
  await using program = startProgram(['replicate', data, place.url]);
  await program.says(/image of the server stored/);
  const hashes: string[] = [];
  for (let round = 1; round <= ROUNDS; round += 1) {
    await writeRound(control, round);
    if (round === ROUNDS / 2) await databases[1]?.create();
    for (const database of databases.slice(0, round > ROUNDS / 2 ? 2 : 1)) {
      for (let commit = 0; commit < 4 && !database.isComplete; commit += 1) await database.writeCommit({ cuts: [0.5] });
    }
    if (round % 40 === 0) hashes.push(await publish(data, Buffer.alloc(50_000, `module ${round}`)));
    // Bursts, and rests that are long enough for a copy now and then.
    if (round % 10 === 0) await delay(round % 30 === 0 ? 900 : 40);
  }
  program.kill('SIGTERM');
  expect(await program.ended()).toMatchObject({ code: 0 });

  const images = (await listKeys(place.store)).flatMap((key) => {
    const root = parseRootKey(key);
    const parsed = root?.kind === 'server' ? parseServerKey(root.key) : null;
    return parsed?.kind === 'image' ? [parsed] : [];
  });
  expect(images.length).toBeGreaterThan(1);
  for (const { generation, image } of images) {
    const key = imageManifestKey(generation, image.name);
    const at = (name: string): string => join(place.store, 'server', dirname(key), name);
    const { files, programs } = decodeImageManifest(await readFile(at('manifest.json')), { key });
    const rounds = new Map<string, number>();
    for (const [index, { path }] of files.entries()) {
      const plain = decodeFrameSync(await readFile(at(`${index}.zst`)), { plainBytesMax: 1e6 });
      if (path.startsWith('control-db/'))
        rounds.set(path.slice('control-db/'.length), Buffer.from(plain).readUInt32LE(0));
    }
    const seen = CONTROL.map((name) => rounds.get(name) ?? -1);
    // In the order of writing; earlier files may be one round ahead, never more.
    expect(seen).toEqual(seen.toSorted((a, b) => b - a));
    expect((seen[0] ?? 0) - (seen.at(-1) ?? 0)).toBeLessThanOrEqual(1);
    for (const hash of programs) {
      const plain = decodeFrameSync(await readFile(join(place.store, 'server', programKey(hash))), {
        plainBytesMax: 1e6,
      });
      expect(keccak256Hex(plain)).toBe(hash);
    }
  }

  await runWell(['restore', '-o', place.restored, place.url]);
  for (const name of [...CONTROL.map((file) => `control-db/${file}`), 'metadata.toml', 'config.toml']) {
    expect((await readFile(join(place.restored, name))).equals(await readFile(join(data, name))), name).toBe(true);
  }
  for (const hash of hashes) {
    const path = join('program-bytes', hash.slice(0, 2), hash.slice(2));
    expect((await readFile(join(place.restored, path))).equals(await readFile(join(data, path)))).toBe(true);
  }
  for (const id of [1, 3, 7, 8]) {
    const live = await readDatabase(join(data, 'replicas', `${id}`));
    const { differences } = await compareRestored(live, join(place.restored, 'replicas', `${id}`));
    expect(differences, `replica ${id}`).toEqual([]);
  }
}, 120_000);
