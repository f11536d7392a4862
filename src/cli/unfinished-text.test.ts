/** Invariant: what is to be typed does what it says for any path. */
import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatUnfinished } from './unfinished-text.ts';

test('the path survives the shell', () => {
  const name = fc.string({ minLength: 1, maxLength: 12 }).filter((text) => !/[\0\n/]/.test(text));
  fc.assert(
    fc.property(name, (text) => {
      const path = `/data/.${text}.stdb-restore-0123456789ab`;
      const command = /rm -r (.*)\n$/s.exec(formatUnfinished({ path, bytes: 5_000_000 }))?.[1] ?? '';
      expect(execFileSync('sh', ['-c', `printf %s ${command}`], { encoding: 'utf8' })).toBe(path);
    }),
    { numRuns: 30 },
  );
});

test('how much, and how to go on', () => {
  const text = formatUnfinished({ path: '/data/x', bytes: 5_000_000 });
  expect(text).toMatch(/^kept: 4\.8 MiB that were restored so far, in \/data\/x\n {2}to go on: the same command again/);
});
