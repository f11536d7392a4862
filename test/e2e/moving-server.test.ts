/**
 * Invariant: a server's data directory that never stands still, two databases growing while its control-db is rewritten
 * and a module is published, is stored in images of one moment each, and comes back as it was when the service ended.
 */
import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import { imageManifestKey, parseRootKey, parseServerKey, programKey } from '../../src/layout/server-keys.ts';
import { decodeImageManifest } from '../../src/layout/image-manifest.ts';
import { keccak256Hex } from '../../src/spacetimedb/keccak.ts';
import { decodeFrameSync } from '../../src/zstd/frame.ts';
import { judge } from '../oracle/oracle.ts';
import { compareLog } from '../soak/compare-log.ts';
import { hasOracle, SoakWriter } from '../soak/soak-writer.ts';
import { compareRestored } from '../support/compare-restored.ts';
import { databaseBesideStore, runWell } from '../support/database-beside-store.ts';
import { faultyS3 } from '../support/faulty-s3.ts';
import { startProgram } from '../support/program.ts';
import { readDatabase } from '../support/recorded-database.ts';
import { listKeys } from '../support/stored-log.ts';
import { copyVector } from '../vectors/vectors.ts';

const CONTROL = ['db', 'conf', 'blobs/1', 'snap.0'];
const ROUNDS = 120;
/** Transactions a second, in each of two databases. */
const RATE = 200;

const s3 = await faultyS3();

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

/** One of a server's databases while the server runs: SpacetimeDB's engine, or a player where there is none. */
const writerOf = (data: string, id: number): SoakWriter =>
  new SoakWriter({ directory: join(data, 'replicas', `${id}`), seed: id, rate: RATE });

/** Each image holds control files of one moment, and modules that are whole. @returns how many there are */
async function judgeImages(root: string): Promise<number> {
  const images = (await listKeys(root)).flatMap((key) => {
    const found = parseRootKey(key);
    const parsed = found?.kind === 'server' ? parseServerKey(found.key) : null;
    return parsed?.kind === 'image' ? [parsed] : [];
  });
  for (const { generation, image } of images) {
    const key = imageManifestKey(generation, image.name);
    const at = (name: string): string => join(root, 'server', dirname(key), name);
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
      const plain = decodeFrameSync(await readFile(join(root, 'server', programKey(hash))), { plainBytesMax: 1e6 });
      expect(keccak256Hex(plain)).toBe(hash);
    }
  }
  return images.length;
}

s3.test(`stored while ${hasOracle ? 'the engine' : 'a player'} moves it, restored as it ended`, async () => {
  await using place = await databaseBesideStore(null);
  await using store = await s3.open();
  const { url, env } = store;
  const data = place.database;
  copyVector('server-2.8', data);
  const control = join(data, 'control-db');
  await writeRound(control, 0);
  await using first = writerOf(data, 7);
  await using second = writerOf(data, 8);
  first.start();
  await using program = startProgram(['replicate', data, url], { env });
  await program.says(/image of the server stored/);
  const hashes: string[] = [];
  for (let round = 1; round <= ROUNDS; round += 1) {
    await writeRound(control, round);
    if (round === ROUNDS / 2) second.start();
    if (round % 40 === 0) hashes.push(await publish(data, Buffer.alloc(50_000, `module ${round}`)));
    // Bursts, and rests that are long enough for a copy now and then.
    await delay(round % 30 === 0 ? 900 : 20);
  }
  const ends = [await first.stop(), await second.stop()];
  program.kill('SIGTERM');
  const { code, stderr } = await program.ended();
  expect(code, stderr).toBe(0);
  expect(await judgeImages(await store.asFiles())).toBeGreaterThan(1);

  await runWell(['restore', '-o', place.restored, url], { env });
  const isEqual = async (path: string): Promise<void> => {
    expect((await readFile(join(place.restored, path))).equals(await readFile(join(data, path))), path).toBe(true);
  };
  for (const name of [...CONTROL.map((file) => `control-db/${file}`), 'metadata.toml', 'config.toml']) {
    await isEqual(name);
  }
  for (const hash of hashes) await isEqual(join('program-bytes', hash.slice(0, 2), hash.slice(2)));
  for (const id of ['1', '3']) {
    const still = await readDatabase(join(data, 'replicas', id));
    const { differences } = await compareRestored(still, join(place.restored, 'replicas', id));
    expect(differences, `replica ${id}`).toEqual([]);
  }
  for (const [index, { durable, contentHash }] of ends.entries()) {
    const restored = join(place.restored, 'replicas', `${7 + index}`);
    const { differences, compared } = await compareLog(restored, join(data, 'replicas', `${7 + index}`), {
      atLeast: BigInt(durable),
      last: BigInt(durable),
    });
    expect(differences, restored).toEqual([]);
    expect(compared).toBeGreaterThan(0);
    if (contentHash === null) continue;
    expect(await judge(restored)).toMatchObject({ ok: true, warnings: [], content_hash: contentHash });
  }
});
