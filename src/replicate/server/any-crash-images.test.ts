/**
 * Invariant: wherever a writer dies, before or after any of its writes, every image that has a manifest is whole, its
 * programs are stored, and the next start stores what the directory holds then.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ServerScene } from '../../../test/support/server-scene.ts';
import { VirtualClock } from '../../../test/support/virtual-clock.ts';
import { programKey } from '../../layout/server-keys.ts';
import { keccak256Hex } from '../../spacetimedb/keccak.ts';
import { decodeFrameSync } from '../../zstd/frame.ts';

class Killed extends Error {}

/** From the n-th write on the store is out of this process's reach. */
function dieAt(scene: ServerScene, at: number, when: 'before' | 'after'): { restore(): void; writes(): number } {
  const put = scene.client.put.bind(scene.client);
  let writes = 0;
  scene.client.put = async (...call) => {
    writes += 1;
    if (writes > at || (writes === at && when === 'before')) throw new Killed();
    const answer = await put(...call);
    if (writes >= at) throw new Killed();
    return answer;
  };
  return {
    writes: () => writes,
    restore: () => {
      scene.client.put = put;
    },
  };
}

async function checkAll(scene: ServerScene): Promise<void> {
  for (const { files, manifest } of await scene.images()) {
    expect([...files.keys()]).toEqual(manifest.files.map(({ path }) => path));
    for (const hash of manifest.programs) {
      const program = decodeFrameSync(await scene.read(programKey(hash)), { plainBytesMax: 1e6 });
      expect(keccak256Hex(program)).toBe(hash);
    }
  }
}

test.each(['before', 'after'] as const)('killed %s each of its writes', async (when) => {
  for (let at = 1; ; at += 1) {
    await using scene = await ServerScene.open();
    const clock = new VirtualClock();
    await scene.runOnce({ clock });
    scene.write('control-db/db', `state at ${at}`);
    const module = Buffer.from(`module at ${at}`);
    const hash = keccak256Hex(module);
    scene.write(`program-bytes/${hash.slice(0, 2)}/${hash.slice(2)}`, module);
    const fault = dieAt(scene, at, when);
    const died = await scene.runOnce({ clock }).then(
      () => null,
      (error: unknown) => error,
    );
    fault.restore();
    await checkAll(scene);
    if (died === null) {
      // It came through: the writes were the head, a program, four files, the manifest and the release.
      expect(at).toBe(9);
      return;
    }
    expect(died).toBeInstanceOf(Killed);
    await scene.writeHead({ process: { ...(await scene.head()).process, pid: 2 ** 22 + 1, startTime: '1' } });
    await scene.runOnce({ clock });
    await checkAll(scene);
    const newest = (await scene.images()).at(-1);
    expect(newest?.manifest.programs).toContain(hash);
    for (const [path, plain] of newest?.files ?? [])
      expect(readFileSync(scene.at(path)).equals(plain), path).toBe(true);
    expect(await scene.head()).toMatchObject({ generation: newest?.generation, released: true });
  }
});
