/**
 * Invariant: the last words of one pass say how far all is stored; where somebody looks on, a pass that failed ends with
 * what happened and what to do, as every command does, and a log that a program reads has no such lines.
 */
import { mkdir } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { runMain } from '../../test/support/fake-io.ts';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { copyVector } from '../../test/vectors/vectors.ts';

const lastLine = (text: string): string => text.trimEnd().split('\n').at(-1) ?? '';

test('the last line of a pass', async () => {
  await using place = await temporaryDirectory();
  copyVector('v2-small', place.at('db'));
  await mkdir(place.at('store'));
  const { code, stderr } = await runMain(['replicate', '-once', place.at('db'), `file://${place.at('store')}`]);
  expect(code, stderr).toBe(0);
  expect(JSON.parse(lastLine(stderr))).toMatchObject({
    level: 'info',
    msg: 'all is stored up to transaction 299',
    tx: '299',
    database: place.at('db'),
  });
});

test('of one that failed: on a terminal, error and hint', async () => {
  await using place = await temporaryDirectory();
  copyVector('v2-small', place.at('db'));
  const url = `file://${place.at('store')}`;
  await mkdir(place.at('store'));
  const argv = ['replicate', '-once', place.at('db'), url];
  expect((await runMain(argv, { env: { STDB_REPLICATE_OWNER: 'first' } })).code).toBe(0);
  const env = { STDB_REPLICATE_OWNER: 'second' };
  const terminal = await runMain(argv, { env, isTTY: true });
  expect(terminal.code).toBe(11);
  expect(terminal.stderr).toMatch(/\nerror: .*owner first.*\nhint: .*\n$/);
  const piped = await runMain(argv, { env });
  expect(piped.code).toBe(11);
  expect(piped.stderr).not.toMatch(/^(error|hint):/m);
});
