/** Invariant: a copy is the vector, byte for byte, with its empty directories and without what only holds their place. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { copyVector, DAMAGES, vectorDirectory } from './vectors.ts';

test('the list of damages is the list of directories', () => {
  const damaged = join(vectorDirectory('v2-damaged/none'), '../..');
  expect(readdirSync(damaged).sort()).toEqual([...DAMAGES].sort());
});

test.each(['v1.2', 'server-2.8', 'v2-damaged/no-log'] as const)('%s', (name) => {
  const root = mkdtempSync(join(tmpdir(), 'vectors-'));
  try {
    const target = join(root, 'copy');
    copyVector(name, target);
    execFileSync('diff', ['--recursive', '--exclude=.keep', vectorDirectory(name), target]);
    const all = readdirSync(target, { recursive: true, encoding: 'utf8' });
    expect(all.filter((path) => path.endsWith('.keep'))).toEqual([]);
    if (name === 'server-2.8') expect(existsSync(join(target, 'control-db/blobs'))).toBe(true);
    if (name === 'v2-damaged/no-log') expect(readdirSync(join(target, 'clog'))).toEqual([]);
    expect(() => copyVector(name, target)).toThrow();
  } finally {
    rmSync(root, { recursive: true });
  }
});
