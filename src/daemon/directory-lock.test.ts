/**
 * Invariant: a directory that another process has locked is refused; one that is locked here is locked for others until
 * it is given back or this process ends; where no lock can be taken that is said, and others' locks are still seen.
 */
import { stat } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { testNeeding } from '../../test/support/named-skip.ts';
import { findOnPath } from '../../test/support/server-process.ts';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { TargetInUseError } from '../core/errors.ts';
import { type Log, silentLog } from '../core/log.ts';
import { directoryLocker } from './directory-lock.ts';

const { env } = process;
const missing = (await findOnPath('flock')) === null ? 'there is no flock(1) on PATH' : null;

testNeeding({ missing })('one at a time', async () => {
  await using place = await temporaryDirectory();
  const lock = directoryLocker({ log: silentLog, env });
  {
    await using held = await lock(place.path);
    await held.check();
    await expect(lock(place.path)).rejects.toThrow(TargetInUseError);
    // Also where /proc/locks says nothing.
    const blind = directoryLocker({ log: silentLog, env, system: { readLocks: () => Promise.resolve(null) } });
    await expect(blind(place.path)).rejects.toThrow(TargetInUseError);
  }
  await using again = await lock(place.path);
  await again.check();
});

test('without flock(1): said, and a lock that somebody takes later is seen', async () => {
  await using place = await temporaryDirectory();
  let locks = '';
  const said: string[] = [];
  const log: Log = { ...silentLog, warn: (message) => void said.push(message) };
  const system = { readLocks: () => Promise.resolve(locks) };
  await using held = await directoryLocker({ log, env, system, program: 'no-such-program' })(place.path);
  expect(said.join()).toMatch(/flock\(1\) is not there/);
  await held.check();
  const { dev, ino } = await stat(place.at('db.lock'), { bigint: true });
  const hex = (value: bigint): string => value.toString(16).padStart(2, '0');
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & 0xffff_f000n);
  const minor = (dev & 0xffn) | ((dev >> 12n) & 0xffff_ff00n);
  locks = `1: FLOCK  ADVISORY  WRITE 99 ${hex(major)}:${hex(minor)}:${ino} 0 EOF\n`;
  await expect(held.check()).rejects.toThrow(/has .* open/);
});
