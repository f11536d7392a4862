/** Invariant: a copy is the vector, byte for byte, with its empty directories and without what only holds their place. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { copyVector, DAMAGES, vectorDirectory } from './vectors.ts';

/** Every file below a directory with its content. */
function filesOf(directory: string): [path: string, content: string][] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((path) => statSync(join(directory, path)).isFile())
    .sort()
    .map((path) => [path, readFileSync(join(directory, path), 'latin1')]);
}

test('the list of damages is the list of directories', () => {
  const damaged = join(vectorDirectory('v2-damaged/none'), '../..');
  expect(readdirSync(damaged).sort()).toEqual([...DAMAGES].sort());
});

test.each(['v1.2', 'server-2.8', 'v2-damaged/no-log'] as const)('%s', (name) => {
  const root = mkdtempSync(join(tmpdir(), 'vectors-'));
  try {
    const target = join(root, 'copy');
    copyVector(name, target);
    expect(filesOf(target)).toEqual(filesOf(vectorDirectory(name)).filter(([path]) => !path.endsWith('.keep')));
    if (name === 'server-2.8') expect(existsSync(join(target, 'control-db/blobs'))).toBe(true);
    if (name === 'v2-damaged/no-log') expect(readdirSync(join(target, 'clog'))).toEqual([]);
    expect(() => copyVector(name, target)).toThrow();
  } finally {
    rmSync(root, { recursive: true });
  }
});
