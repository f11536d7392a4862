// Invariant: a program that the system would start is never refused; one that it would not find, or not execute, is.
import { spawnSync } from 'node:child_process';
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type TemporaryDirectory, temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { ConfigurationError } from '../core/errors.ts';
import { requireProgram } from './require-program.ts';

let place: TemporaryDirectory;

beforeEach(async () => {
  place = await temporaryDirectory();
  await mkdir(place.at('bin'));
  await mkdir(place.at('other/server'), { recursive: true });
  await writeFile(place.at('bin/server'), '#!/bin/sh\n', { mode: 0o755 });
  await writeFile(place.at('bin/text'), '#!/bin/sh\n');
  await chmod(place.at('bin/text'), 0o644);
  await symlink(place.at('bin/server'), place.at('bin/linked'));
  await symlink(place.at('nowhere'), place.at('bin/dangling'));
});
afterEach(() => place[Symbol.asyncDispose]());

test.each([
  ['server', null],
  ['linked', null],
  ['BIN/server', null],
  ['BIN/linked', null],
  ['nosuchprogram', /^nosuchprogram cannot be started: no such program is on PATH$/],
  ['dangling', /no such program is on PATH/],
  ['text', /bin\/text: this user may not execute it/],
  ['BIN/text', /this user may not execute it/],
  ['BIN/nothing', /there is no such file/],
  ['BIN/server/below', /there is no such file/],
  ['BIN', /it is a directory/],
])('%s, as the system has it', async (name, refusal) => {
  const program = name.replace('BIN', place.at('bin'));
  // A directory of that name, and one that is not there, come first.
  const env = { PATH: [place.at('other'), place.at('nowhere'), place.at('bin')].join(':') };
  const starts = spawnSync(program, { env }).error === undefined;
  expect(starts).toBe(refusal === null);
  const error: unknown = await requireProgram(program, { env }).catch((thrown: unknown) => thrown);
  if (refusal === null) return expect(error).toBeUndefined();
  expect(error).toBeInstanceOf(ConfigurationError);
  expect(error).toHaveProperty('message', expect.stringMatching(refusal));
  expect(error).toHaveProperty('hint', expect.stringContaining('Nothing was begun.'));
});

test('without a PATH the system has one of its own', async () => {
  await expect(requireProgram('sh', { env: {} })).resolves.toBeUndefined();
});
