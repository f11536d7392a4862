// Invariant: a service that fails is reported once, by its name, and the others run on.
import { expect, test } from 'vitest';
import { CorruptionError } from '../core/errors.ts';
import { type Log, silentLog } from '../core/log.ts';
import type { Service } from '../core/service.ts';
import { runAll } from './supervisor.ts';

test('one fails, the others end as they should', async () => {
  const lines: [string, unknown][] = [];
  const log: Log = { ...silentLog, error: (message, facts) => lines.push([message, facts]) };
  let release = (): void => {};
  const patient: Service = {
    name: 'patient',
    run: () => new Promise((resolve) => (release = resolve)),
    drain: () => {},
  };
  const failing: Service = {
    name: 'failing',
    run: () => Promise.reject(new CorruptionError('bad bytes', { hint: 'Look.', facts: { tx: 7n } })),
    drain: () => {},
  };
  const all = runAll([failing, patient], { signal: new AbortController().signal, log });
  await new Promise((resolve) => setImmediate(resolve));
  expect(lines).toEqual([
    ['failing stopped: bad bytes', { service: 'failing', code: 'CORRUPTION', tx: 7n, hint: 'Look.' }],
  ]);
  release();
  expect((await all).map(({ service, error }) => [service, error === null])).toEqual([
    ['failing', false],
    ['patient', true],
  ]);
});
