/**
 * Invariant: the commands of FORMAT-SERVER.md, run as they stand there with ordinary tools, bring
 * back its files, modes, empty directories and programs; and the hash in an image's name is what the page says it is of.
 */
import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import { blake3Hex } from '../../src/core/checksum.ts';
import { readBody } from '../../src/replica/replica-client.ts';
import { testNeeding } from '../support/named-skip.ts';
import { ServerScene } from '../support/server-scene.ts';

const section = readFileSync(new URL('../../src/layout/FORMAT-SERVER.md', import.meta.url), 'utf8');
const script = [...section.matchAll(/^```bash\n(.*?)^```$/gms)].map(([, block]) => block).join('');
const hashed = /`(jq -cj .*? manifest\.json)`/.exec(section)?.[1] ?? '';

function missingTool(): string | null {
  for (const tool of ['bash', 'jq', 'zstd']) {
    try {
      execFileSync('which', [tool], { stdio: 'ignore' });
    } catch {
      return `${tool} is not installed`;
    }
  }
  return null;
}
const testByHand = testNeeding({ missing: missingTool(), requiredBy: 'STDB_TEST_BY_HAND' });

/** Every file below `root`, with its content and mode. */
function tree(root: string): Map<string, string> {
  const entries = readdirSync(root, { recursive: true, withFileTypes: true });
  return new Map(
    entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path) => [
        path.slice(root.length + 1),
        `${statSync(path).mode & 0o777} ${readFileSync(path).toString('hex')}`,
      ]),
  );
}

testByHand(
  'the newest image of the head, with its programs',
  async () => {
    await using scene = await ServerScene.open();
    chmodSync(scene.at('control-db/db'), 0o600);
    writeFileSync(scene.beside('key of mine'), 'secret', { mode: 0o600 });
    const extraFiles = [{ name: 'key of mine', path: scene.beside('key of mine') }];
    await scene.runOnce();
    scene.write('control-db/snap.0000000000000001', 'newer');
    await scene.runOnce({ extraFiles });
    const [store, target] = [scene.beside('store'), scene.beside('target')];
    for (const key of await scene.keys()) {
      mkdirSync(dirname(join(store, key)), { recursive: true });
      writeFileSync(join(store, key), await readBody(await scene.client.get(key), 1e9));
    }
    const env = { PATH: process.env['PATH'], STORE: store, TARGET: target };
    await promisify(execFile)('bash', ['-c', script], { env });
    const expected = new Map(
      [...tree(scene.data)].filter(([path]) => !path.startsWith('replicas/') && !path.startsWith('program-bytes/')),
    );
    expected.set('extra/key of mine', `${0o600} ${Buffer.from('secret').toString('hex')}`);
    const found = tree(target);
    for (const [path, content] of expected) expect(found.get(path), path).toBe(content);
    const programs = [...found.keys()].filter((path) => !expected.has(path));
    expect(programs).toEqual([...tree(scene.data).keys()].filter((path) => path.startsWith('program-bytes/')));
    for (const path of programs)
      expect(readFileSync(join(target, path)).equals(readFileSync(scene.at(path)))).toBe(true);
    expect(existsSync(join(target, 'control-db/blobs'))).toBe(true);

    for (const { image, generation } of await scene.images()) {
      const cwd = join(store, 'server/generations', generation, 'images', image.name);
      const { stdout } = await promisify(execFile)('bash', ['-c', hashed], { cwd });
      expect(blake3Hex(Buffer.from(stdout)).slice(0, 16)).toBe(image.hash);
    }
  },
  60_000,
);
