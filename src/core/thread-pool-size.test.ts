/**
 * Invariant: the pool gets its size from the program unless the user has set one, and no child inherits it. Asked of a
 * process of its own: a pool is made once, and this runtime must really read the size when it makes it.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { POOL_THREADS, widenThreadPool } from './thread-pool-size.ts';

const subject = fileURLToPath(new URL('./thread-pool-size.ts', import.meta.url));

/** Threads of the pool after it was used, and what a child would see. */
async function poolOf({ widens, env }: { widens: boolean; env?: NodeJS.ProcessEnv }): Promise<readonly string[]> {
  const program = `
    import { readdirSync, readFileSync } from 'node:fs';
    import { access } from 'node:fs/promises';
    import { ${widenThreadPool.name} as widen } from ${JSON.stringify(subject)};
    if (${widens}) widen(process.env);
    await access('/');
    const name = (task) => readFileSync('/proc/self/task/' + task + '/comm', 'utf8').trim();
    const workers = readdirSync('/proc/self/task').filter((task) => name(task) === 'libuv-worker');
    console.log(workers.length, process.env.UV_THREADPOOL_SIZE ?? 'unset');
  `;
  const { UV_THREADPOOL_SIZE: _, ...own } = process.env;
  const options = { env: { ...own, ...env } };
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program], options);
  return stdout.trim().split(' ');
}

test('the pool is as large as the program says, and a child does not see it', async () => {
  const [usual, widened] = await Promise.all([poolOf({ widens: false }), poolOf({ widens: true })]);
  expect(usual).toEqual(['4', 'unset']);
  expect(widened).toEqual([String(POOL_THREADS), 'unset']);
});

test('what the user has set stays', async () => {
  expect(await poolOf({ widens: true, env: { UV_THREADPOOL_SIZE: '3' } })).toEqual(['3', '3']);
});
