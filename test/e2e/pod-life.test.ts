/**
 * Invariant: a pod made of the manifest in `config/kubernetes` never loses what its sidecar has stored, and never begins
 * anew what is stored: first start, an end in order, the loss of the volume, the death of the machine.
 *
 * The containers are processes of this machine with the manifest's own arguments and environment; the volume is a file
 * system mounted at the data directory, which cannot be renamed onto.
 */
import { cp, mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, expect } from 'vitest';
import { compareRestored } from '../support/compare-restored.ts';
import { GrowingDatabase } from '../support/growing-database.ts';
import { testNeeding } from '../support/named-skip.ts';
import { PlayedPod } from '../support/pod.ts';
import { readDatabase, readTree } from '../support/recorded-database.ts';
import { s3Credentials } from '../support/s3-place.ts';
import { isServer, s3Server } from '../support/s3-server.ts';
import { mountSmallDisk, type SmallDisk, whyNoSmallDisk } from '../support/small-disk.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { vectorDirectory } from '../vectors/vectors.ts';

const server = await s3Server();
afterAll(async () => {
  if (isServer(server)) await server.stop();
});

/** Kubernetes gives the root of a volume to fsGroup; many file systems have a lost+found there. */
async function newVolume(path: string): Promise<SmallDisk> {
  const disk = await mountSmallDisk(path, '128m,mode=2775,gid=1000');
  await mkdir(join(path, 'lost+found'), { mode: 0o700 });
  return disk;
}

const SERVER = vectorDirectory('server-2.8');
const OWN_FILES = ['metadata.toml', 'config.toml', 'control-db', 'program-bytes'];
const LAST_TX = 299;

const played = testNeeding({ missing: whyNoSmallDisk() ?? (isServer(server) ? null : server.skip) });

played(
  'first start, drained, volume lost, restored, killed, volume lost again, restored: one history',
  async () => {
    if (!isServer(server)) return;
    await using place = await temporaryDirectory();
    const volume = place.at('volume');
    const pod = await PlayedPod.create({
      directory: place.path,
      volume,
      name: 'game-stdb-0',
      env: {
        ...s3Credentials(server),
        BACKUP_BUCKET: await server.makeBucket(),
        BACKUP_OPTIONS: `endpoint=${server.endpoint}&region=us-east-1&forcePathStyle=true`,
      },
    });
    const recorded = await readDatabase(vectorDirectory('v2-small'));
    const growing = new GrowingDatabase(join(volume, 'replicas', '1'), recorded);
    const growTo = async (tx: bigint): Promise<void> => {
      while (growing.lastTx < tx) await growing.writeCommit();
    };
    const restores = async (): Promise<string> => {
      const { code, stderr } = await pod.restore();
      expect(code, stderr).toBe(0);
      return stderr;
    };
    const ownFiles = async (): Promise<Map<string, Buffer>> => {
      const files = new Map<string, Buffer>();
      for (const name of ['control-db', 'program-bytes']) {
        for (const [path, bytes] of await readTree(join(volume, name))) files.set(`${name}/${path}`, bytes);
      }
      for (const name of ['metadata.toml', 'config.toml']) files.set(name, await readFile(join(volume, name)));
      return files;
    };

    // First start: nothing here, nothing there.
    let disk = await newVolume(volume);
    try {
      expect(await restores()).toMatch(/nothing was restored/);
      expect(await readdir(volume)).toEqual(['lost+found']);
      {
        await using sidecar = await pod.replicate();
        await sidecar.says(/waiting for a commit log/);
        expect((await pod.get('/readyz')).status).toBe(200);
        // The server starts: its own files, and a database that grows.
        const filter = (path: string): boolean => !path.endsWith('.keep');
        for (const name of OWN_FILES) await cp(join(SERVER, name), join(volume, name), { recursive: true, filter });
        await growing.create();
        await growTo(150n);
        await sidecar.until(async () => (await pod.metric('stored_tx_offset')) === 150, '150 to be stored');
        await sidecar.until(async () => ((await pod.metric('images_total')) ?? 0) > 0, 'an image to be stored');
        // The server ends, and then the sidecar is stopped: the last commits go out now.
        await growTo(200n);
        sidecar.kill('SIGTERM');
        const { code, stderr } = await sidecar.ended();
        expect(code, stderr).toBe(0);
      }
      const before = await ownFiles();
      expect(await restores()).toMatch(/nothing/);

      // The volume is lost.
      await disk[Symbol.asyncDispose]();
      disk = await newVolume(volume);
      await restores();
      expect((await readdir(volume)).toSorted()).toEqual(['lost+found', 'replicas', ...OWN_FILES].toSorted());
      expect(await ownFiles()).toEqual(before);
      for (const path of ['control-db/db', 'replicas/1/clog']) {
        expect((await stat(join(volume, path))).uid, path).toBe(pod.user);
      }
      {
        await using sidecar = await pod.replicate();
        await sidecar.until(async () => (await pod.metric('stored_tx_offset')) === 200, 'it to go on at 200');
        await growTo(250n);
        await growing.takeSnapshot(180n);
        await sidecar.until(async () => (await pod.metric('stored_tx_offset')) === 250, '250 to be stored');
        await sidecar.until(async () => (await pod.metric('newest_snapshot_tx_offset')) === 180, 'the snapshot');
        // The machine dies, and with it the volume.
        sidecar.kill('SIGKILL');
        await sidecar.ended();
      }
      await disk[Symbol.asyncDispose]();
      disk = await newVolume(volume);
      await restores();
      {
        await using sidecar = await pod.replicate();
        await sidecar.says(/"reason":"takeover"/);
        await growing.finish();
        await sidecar.until(async () => (await pod.metric('stored_tx_offset')) === LAST_TX, 'the rest to be stored');
        sidecar.kill('SIGTERM');
        const { code, stderr } = await sidecar.ended();
        expect(code, stderr).toBe(0);
      }

      // What a last restore gives is all that was ever written.
      await disk[Symbol.asyncDispose]();
      disk = await newVolume(volume);
      await restores();
      expect(await ownFiles()).toEqual(before);
      const { differences, snapshotTx } = await compareRestored(recorded, join(volume, 'replicas', '1'));
      expect(differences).toEqual([]);
      expect(snapshotTx).toBe(180n);
    } finally {
      await disk[Symbol.asyncDispose]();
    }
  },
  180_000,
);
