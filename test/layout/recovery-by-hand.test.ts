/**
 * Invariant: the commands of FORMAT.md, run as they stand there with ordinary tools, rebuild the database: the log of
 * the line byte for byte, and the snapshot. Where the store has lost something they say so and fail.
 */
import { execFile, execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect } from 'vitest';
import { testNeeding } from '../support/named-skip.ts';
import { LAYOUT_STORE, layoutObjects } from '../vectors/layout-v1/files.ts';
import { vectorDirectory } from '../vectors/vectors.ts';

const page = readFileSync(new URL('../../src/layout/FORMAT.md', import.meta.url), 'utf8');
const section = page.split('## Recovery by hand')[1] ?? '';
const script = [...section.matchAll(/^```bash\n(.*?)^```$/gms)].map(([, block]) => block).join('');

function missingTool(): string | null {
  for (const tool of ['bash', 'awk', 'jq', 'zstd', 'dd', 'od', 'truncate']) {
    try {
      execFileSync('which', [tool], { stdio: 'ignore' });
    } catch {
      return `${tool} is not installed`;
    }
  }
  return null;
}
/** Some hundred small processes for each run. */
const TIMEOUT_MS = 120_000;
const testWithTools = testNeeding({ missing: missingTool(), requiredBy: 'STDB_TEST_BY_HAND' });
const testByHand = (title: string, body: () => Promise<void>): void => testWithTools(title, body, TIMEOUT_MS);

let directory = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'by-hand-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function recover(name: string, options: { damage?: (store: string) => void; generation?: string } = {}) {
  const store = join(directory, name, 'store');
  const target = join(directory, name, 'target');
  cpSync(LAYOUT_STORE, store, { recursive: true });
  options.damage?.(store);
  const env = {
    PATH: process.env['PATH'],
    TMPDIR: directory,
    STORE: store,
    TARGET: target,
    GENERATION: options.generation,
  };
  const { stdout } = await promisify(execFile)('bash', ['-c', script], { env });
  const log = readdirSync(join(target, 'clog')).map(
    (file) => [file, readFileSync(join(target, 'clog', file))] as const,
  );
  return { target, stdout, log };
}

const source = vectorDirectory('v2-small');
const segment = (name: string): Buffer => readFileSync(join(source, 'clog', name));
const name = (tx: number): string => `${String(tx).padStart(20, '0')}.stdb.log`;
const body = (files: readonly (readonly [string, Buffer])[], from: number): Buffer =>
  Buffer.concat(
    files.filter(([file]) => file >= name(from)).map(([, bytes], index) => (index === 0 ? bytes : bytes.subarray(10))),
  );

testByHand("the head's line: log and snapshot are what they were", async () => {
  const { target, stdout, log } = await recover('line');
  expect(stdout).toContain('ends before transaction 00000000000000000300');
  // Another generation begins another file.
  expect(log.map(([file]) => file)).toEqual([name(0), name(147), name(205)]);
  expect(log[0]?.[1].equals(segment(name(0)))).toBe(true);
  expect(body(log, 147).equals(segment(name(147)))).toBe(true);
  const snapshot = 'snapshots/00000000000000000180.snapshot_dir';
  const files = readdirSync(join(source, snapshot), { recursive: true, withFileTypes: true }).filter((file) =>
    file.isFile(),
  );
  expect(files).toHaveLength(21);
  for (const file of files) {
    const path = join(file.parentPath, file.name);
    expect(readFileSync(join(target, path.slice(source.length))).equals(readFileSync(path)), path).toBe(true);
  }
  expect(
    readdirSync(join(target, 'snapshots'), { recursive: true, withFileTypes: true }).filter((file) => file.isFile()),
  ).toHaveLength(21);
});

testByHand('the line of an older generation', async () => {
  const { stdout, log } = await recover('older', { generation: '00000001-1a2b3c4d' });
  expect(stdout).toContain('ends before transaction 00000000000000000261');
  expect(log.map(([file]) => file)).toEqual([name(0), name(147)]);
  const last = log[1]?.[1] ?? Buffer.alloc(0);
  expect(segment(name(147)).subarray(0, last.byteLength).equals(last)).toBe(true);
});

testByHand('without a head, the newest generation that holds something', async () => {
  const { stdout } = await recover('headless', { damage: (store) => rmSync(join(store, 'head.json')) });
  expect(stdout).toContain('ends before transaction 00000000000000000300');
});

testByHand('an object that is missing or damaged is not passed over', async () => {
  const keys = layoutObjects().map(({ key }) => key);
  const keyWith = (part: string): string => keys.find((key) => key.includes(part)) ?? '';
  const lost = (part: string) => (store: string) => rmSync(join(store, keyWith(part)));
  await expect(recover('lost', { damage: lost('/00000000000000000180-') })).rejects.toThrow(/does not lead to 204/);
  const torn = (store: string): void => {
    execFileSync('truncate', ['-s', '-1000', join(store, keyWith('/00000000000000000147-'))]);
  };
  await expect(recover('torn', { damage: torn })).rejects.toThrow(/zstd|premature|truncated/i);
  await expect(recover('no-pack', { damage: lost('packs/7f/') })).rejects.toThrow(/dd:/);
});
