/**
 * Invariant: the program answers in one line and with the documented exit code wherever it is started and whatever its
 * commands do: on an old Node, on a foreign platform, for a user without a home, with a reader that went away, with an
 * error nobody caught. Its young generation is bounded.
 */
import { execFileSync, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const BIN = fileURLToPath(new URL('./bin.ts', import.meta.url));

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface RunOptions {
  /** JavaScript that runs before the program. */
  readonly before?: string;
  /** The body of a `main(io)` in the place of the real one. */
  readonly main?: string;
  readonly args?: readonly string[];
  /** Sent as soon as the program has written something. */
  readonly signals?: readonly NodeJS.Signals[];
  readonly closeStdout?: boolean;
}

function preload({ before = '', main }: RunOptions): string {
  const source = JSON.stringify(`export async function main(io) {${main}}`);
  const hooks = `
    import { registerHooks } from 'node:module';
    registerHooks({
      resolve: (name, context, next) =>
        name === './cli/main.ts' ? { url: 'stub:main', format: 'module', shortCircuit: true } : next(name, context),
      load: (url, context, next) =>
        url === 'stub:main' ? { format: 'module', source: ${source}, shortCircuit: true } : next(url, context),
    });`;
  return `data:text/javascript,${encodeURIComponent(`${main === undefined ? '' : hooks}\n${before}`)}`;
}

function run(options: RunOptions): Promise<Ended> {
  const { args = [], signals = [], closeStdout = false } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--import', preload(options), BIN, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    const pending = [...signals];
    child.stdout.on('data', (bytes) => {
      stdout += String(bytes);
      const name = pending.shift();
      if (name !== undefined) child.kill(name);
    });
    child.stderr.on('data', (bytes) => {
      stderr += String(bytes);
    });
    if (closeStdout) child.stdout.destroy();
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}

const pretend = (property: string, value: string): string =>
  `Object.defineProperty(process, '${property}', { value: ${value} });`;

const oneLine = /^stdb-replicate: [^\n]+\n$/;

describe('where it cannot run', () => {
  test.each(['12.22.12', '20.20.2', '22.22.0', '24.19.9'])(
    'Node %s is refused before anything is imported',
    async (version) => {
      const ended = await run({
        before: pretend('versions', `{ ...process.versions, node: '${version}' }`),
        main: 'io.stdout.write("imported"); return 0;',
      });
      expect(ended).toMatchObject({ code: 2, stdout: '' });
      expect(ended.stderr).toMatch(oneLine);
      expect(ended.stderr).toContain('24.20');
      expect(ended.stderr).toContain(version);
    },
  );

  test.each(['24.20.0', '25.0.0', '26.10.1'])('Node %s is accepted', async (version) => {
    const before = pretend('versions', `{ ...process.versions, node: '${version}' }`);
    expect(await run({ before, main: 'return 0;' })).toMatchObject({ code: 0, stderr: '' });
  });

  test.each([
    ['darwin', 'arm64'],
    ['win32', 'x64'],
    ['linux', 'riscv64'],
  ])('%s on %s is refused', async (platform, arch) => {
    const ended = await run({
      before: pretend('platform', `'${platform}'`) + pretend('arch', `'${arch}'`),
      main: 'return 0;',
    });
    expect(ended).toMatchObject({ code: 2, stdout: '' });
    expect(ended.stderr).toMatch(oneLine);
    expect(ended.stderr).toContain(`${platform} on ${arch}`);
  });

  test('an old Node can read the file: no newer syntax, no static import of a value', async () => {
    const source = await readFile(BIN, 'utf8');
    const code = source.replaceAll(/\/\*[^]*?\*\/|\/\/.*$/gm, '');
    expect(code).not.toMatch(/\?\.[^\d]|\?\?|^await |^import (?!type )|\|\|=|&&=|#\w+[ =(]/m);
  });
});

describe('how it ends', () => {
  test.each([0, 1, 15, 75, 143])('with the exit code %i of its command', async (code) => {
    expect(await run({ main: `return ${code};` })).toMatchObject({ code, stderr: '' });
  });

  test('passes arguments without node and script', async () => {
    const ended = await run({ main: 'io.stdout.write(io.argv.join("|")); return 0;', args: ['restore', '-o', 'a b'] });
    expect(ended.stdout).toBe('restore|-o|a b');
  });

  test('even when a handle stays open', async () => {
    expect(await run({ main: 'setInterval(() => {}, 1000); return 3;' })).toMatchObject({ code: 3 });
  });

  test.each([
    ['a rejection of the command', 'throw new TypeError("odd\\nthing");'],
    [
      'an unhandled rejection',
      'void Promise.reject(new TypeError("odd\\nthing")); await new Promise(() => setInterval(() => {}, 1000));',
    ],
    [
      'an uncaught exception',
      'setTimeout(() => { throw new TypeError("odd\\nthing"); }, 1); await new Promise(() => {});',
    ],
  ])('in one line and with 1 after %s; the stack comes only with -log-level debug', async (_, main) => {
    const plain = await run({ main });
    expect(plain.code).toBe(1);
    expect(plain.stderr).toMatch(oneLine);
    expect(plain.stderr).toContain('TypeError: odd thing');
    for (const args of [['-log-level', 'debug'], ['--log-level=debug']]) {
      const debug = await run({ main, args });
      expect(debug.code).toBe(1);
      expect(debug.stderr).toMatch(/\n {4}at /);
    }
  });

  test('quietly when the reader of its output has gone', async () => {
    const main = `
      for (let i = 0; i < 50; i += 1) {
        io.stdout.write('x'.repeat(65536));
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      return 0;`;
    expect(await run({ main, closeStdout: true })).toMatchObject({ code: 0, signal: null, stderr: '' });
  });
});

test('signals go to the command, which may end the process at once', async () => {
  const main = `
    let count = 0;
    io.signals.onSignal((name) => {
      count += 1;
      io.stdout.write(name + '.');
      if (count === 2) io.exit(143);
    });
    io.stdout.write('ready.');
    await new Promise(() => setInterval(() => {}, 1000));`;
  const ended = await run({ main, signals: ['SIGTERM', 'SIGINT'] });
  expect(ended).toMatchObject({ code: 143, stdout: 'ready.SIGTERM.SIGINT.' });
});

describe('a user without HOME', () => {
  const main = 'io.stdout.write(String(io.env.HOME)); return 0;';

  test('and without an entry among the users has the root for a home', async () => {
    const before = `
      delete process.env.HOME;
      process.getBuiltinModule('node:os').homedir = () => { throw new Error('uv_os_homedir returned ENOENT'); };`;
    expect(await run({ before, main })).toMatchObject({ code: 0, stdout: '/', stderr: '' });
  });

  test('and with one keeps that', async () => {
    expect(await run({ before: 'delete process.env.HOME;', main })).toMatchObject({ code: 0, stdout: 'undefined' });
  });
});

test('the young generation stays small in the program, and grows in a process without it', async () => {
  // What lives on for a while makes it grow.
  const churn = `
    const kept = [];
    for (let i = 0; i < 3e6; i += 1) kept[i % 200000] = { own: [i] };
    const spaces = process.getBuiltinModule('node:v8').getHeapSpaceStatistics();
    process.stdout.write(String(spaces.find((space) => space.space_name === 'new_space').space_size));`;
  // Two halves.
  const bound = 2 * 2 * 1024 * 1024;
  const { stdout } = await run({ main: `${churn} return 0;` });
  expect(Number(stdout)).toBeLessThanOrEqual(bound);
  expect(Number(execFileSync(process.execPath, ['-e', churn]))).toBeGreaterThan(bound);
});
