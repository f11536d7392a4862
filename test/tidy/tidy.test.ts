/**
 * Invariant: the whole tree keeps the rules that can be checked by reading it, and each rule finds what it is for.
 */
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';
import { PARTS, ZONES } from '../../tools/zones.ts';
import { projectFiles, ROOT, readProjectFile } from './repository.ts';
import { RULES } from './rules.ts';

const FILES = projectFiles();

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

const manifest = JSON.parse(readProjectFile('package.json')) as Manifest;

describe.each(RULES)('$name', ({ appliesTo, find, planted }) => {
  test('in the whole tree', () => {
    const texts = FILES.filter(appliesTo).map((path) => [path, readProjectFile(path)] as const);
    expect(texts.flatMap(([path, text]) => find(path, text))).toEqual([]);
  });

  test('and the rule finds what it is for', () => {
    expect(appliesTo(planted.path)).toBe(true);
    expect(find(planted.path, planted.text)).toHaveLength(1);
  });
});

describe('sources', () => {
  const sources = FILES.filter((path) => path.startsWith('src/') && path.endsWith('.ts'));

  test('are short: the median is at most 120 lines', () => {
    const lengths = sources.map((path) => readProjectFile(path).split('\n').length).sort((a, b) => a - b);
    expect(lengths[lengths.length >> 1]).toBeLessThanOrEqual(120);
  });

  test('have their tests beside them: each imports a subject from its own directory, or drives it through test/support', () => {
    const tests = sources.filter((path) => path.endsWith('.test.ts') && path !== 'src/bin.test.ts');
    expect(
      tests.filter(
        (path) =>
          !/ from '(\.|(\.\.\/)+test\/support)\/[\w-]+\.ts'|import\('\.\/[\w-]+\.ts'\)/.test(readProjectFile(path)),
      ),
    ).toEqual([]);
  });

  test('stand in a room of the table of zones, and in no room of a room but a store or a named part', () => {
    const rooms = new Set([...ZONES.map(({ dir }) => dir), ...PARTS].map((dir) => `src/${dir}`));
    const strays = sources.filter((path) => {
      const directory = dirname(path);
      return directory !== 'src' && !rooms.has(directory);
    });
    expect(strays).toEqual([]);
  });
});

describe('dependencies', () => {
  const names = [...Object.entries(manifest.dependencies), ...Object.entries(manifest.devDependencies)];

  test('have exact versions', () => {
    expect(names.filter(([, version]) => !/^(\d+\.\d+\.\d+|file:tools\/[\w-]+)$/.test(version))).toEqual([]);
  });

  test('are each explained, and nothing else is', () => {
    const page = readProjectFile('docs/decisions/dependencies.md');
    const explained = [...page.matchAll(/^\| `([^`]+)` \|/gm)].map(([, name = '']) => name);
    expect(explained.sort()).toEqual(names.map(([name]) => name).sort());
  });
});

describe('docs', () => {
  const pages = FILES.filter((path) => path.endsWith('.md'));

  test('link to what is there', () => {
    const broken = pages.flatMap((page) =>
      [...readProjectFile(page).matchAll(/\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)]*)?\)/g)]
        .map(([, target = '']) => normalize(join(dirname(page), target)))
        .filter((target) => !existsSync(join(ROOT, target)))
        .map((target) => `${page}: ${target}`),
    );
    expect(broken).toEqual([]);
  });

  test('name every room', () => {
    const map = readProjectFile('docs/ARCHITECTURE.md');
    const rooms = readdirSync(join(ROOT, 'src'), { withFileTypes: true }).filter((entry) => entry.isDirectory());
    expect(rooms.map(({ name }) => name).filter((name) => !map.includes(`${name}/`))).toEqual([]);
  });
});
