/**
 * Invariant: the tools that guard the tree are awake. A copy of the tree gets one violation of each kind, and an import
 * across every border of the table of zones; each must be found by its tool, and what is allowed must not be.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ZONES } from '../../tools/zones.ts';
import { PLANTED, type Tool } from './planted.ts';
import { ROOT } from './repository.ts';

const CONFIGURATION = [
  'package.json',
  'tsconfig.json',
  '.oxlintrc.json',
  'biome.json',
  'knip.json',
  'vitest.config.ts',
];

const COMMANDS: Readonly<Record<Tool, readonly string[]>> = {
  oxlint: ['oxlint', '--format', 'unix'],
  tsc: ['tsc', '--noEmit', '--pretty', 'false'],
  biome: ['biome', 'format', '--max-diagnostics', 'none', '--colors', 'off', '.'],
  knip: ['knip', '--reporter', 'compact', '--no-progress'],
};

interface Border {
  readonly from: string;
  readonly into: string;
  readonly path: string;
  readonly allowed: boolean;
}

const LEAF = 'planted-leaf.ts';

function borders(): Border[] {
  return ZONES.flatMap(({ dir: from, imports }) =>
    ZONES.filter(({ dir }) => dir !== from).map(({ dir: into }) => ({
      from,
      into,
      path: `src/${from}/planted-into-${into.replace('/', '-')}.ts`,
      allowed: imports.includes(into),
    })),
  );
}

let copy = '';
const output = new Map<Tool, string>();

function plant(path: string, text: string): void {
  mkdirSync(dirname(join(copy, path)), { recursive: true });
  writeFileSync(join(copy, path), text);
}

beforeAll(() => {
  copy = mkdtempSync(join(tmpdir(), 'stdb-tidy-'));
  for (const name of [...CONFIGURATION, 'src']) cpSync(join(ROOT, name), join(copy, name), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  for (const { dir } of ZONES) plant(`src/${dir}/${LEAF}`, 'export interface Leaf {\n  readonly leaf: true;\n}\n');
  for (const { into, path } of borders()) {
    const target = relative(join('/', dirname(path)), join('/src', into, LEAF));
    const specifier = target.startsWith('.') ? target : `./${target}`;
    plant(path, `import type { Leaf } from '${specifier}';\n\nexport type Seen = Leaf;\n`);
  }
  for (const { path, text } of PLANTED) plant(path, text);
  for (const tool of Object.keys(COMMANDS) as Tool[]) {
    const [command = '', ...args] = COMMANDS[tool];
    const { stdout, stderr, status } = spawnSync(join(ROOT, 'node_modules/.bin', command), args, {
      cwd: copy,
      encoding: 'utf8',
      maxBuffer: 1 << 28,
      env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0' },
    });
    expect(status, `${tool} must fail here`).not.toBe(0);
    output.set(tool, `${stdout}\n${stderr}`);
  }
});

afterAll(() => {
  rmSync(copy, { recursive: true, force: true });
});

const linesAbout = (tool: Tool, path: string): string[] =>
  (output.get(tool) ?? '').split('\n').filter((line) => line.includes(path));

describe('one violation of each kind', () => {
  test.each(PLANTED)('$tool finds $path: $finding', ({ tool, path, finding }) => {
    expect(linesAbout(tool, path).join('\n')).toContain(finding);
  });
});

describe('imports across the borders of zones', () => {
  const crossed = ({ path }: Border): boolean =>
    linesAbout('oxlint', path).some((line) => line.includes('no-restricted-imports'));

  test('what the table does not allow is found, for types as well', () => {
    const typesToo = (zone: string, into: string): boolean =>
      ZONES.find(({ dir }) => dir === zone)?.types?.includes(into) ?? false;
    const missed = borders().filter(
      (border) => !border.allowed && !typesToo(border.from, border.into) && !crossed(border),
    );
    expect(missed.map(({ path }) => path)).toEqual([]);
  });

  test('what the table allows is not', () => {
    expect(borders().filter((border) => border.allowed && crossed(border))).toEqual([]);
  });
});

test('the configuration of the linter is the one that the table makes', () => {
  const { status, stderr } = spawnSync(process.execPath, ['tools/make-lint-config.ts', '--check'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});
