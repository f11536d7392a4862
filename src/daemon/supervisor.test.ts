// Invariant: a service that fails is reported once, by its name, and the others run on; what comes late is supervised and
// drained like what was there first; what is of no concern any more is in no outcome.
import { expect, test } from 'vitest';
import { CorruptionError } from '../core/errors.ts';
import { type Log, silentLog } from '../core/log.ts';
import type { Service } from '../core/service.ts';
import { Supervisor } from './supervisor.ts';

function scene() {
  const lines: [string, unknown][] = [];
  const log: Log = {
    ...silentLog,
    error: (message, facts) => lines.push([message, facts]),
    info: (message, facts) => lines.push([message, facts]),
  };
  return { lines, supervisor: new Supervisor({ signal: new AbortController().signal, log }) };
}

/** Runs until it is drained. */
function patient(name = 'patient'): Service {
  const drained = Promise.withResolvers<void>();
  return { name, run: () => drained.promise, drain: () => drained.resolve() };
}

const failing: Service = {
  name: 'failing',
  run: () => Promise.reject(new CorruptionError('bad bytes', { hint: 'Look.', facts: { tx: 7n } })),
  drain: () => {},
};

const endings = ({ outcomes }: Supervisor) => outcomes.map(({ service, error }) => [service, error === null]);

test('one fails, the others end as they should', async () => {
  const { lines, supervisor } = scene();
  const running = [supervisor.run(failing), supervisor.run(patient())];
  await running[0];
  expect(lines).toEqual([
    ['failing stopped: bad bytes', { service: 'failing', code: 'CORRUPTION', tx: 7n, hint: 'Look.' }],
  ]);
  supervisor.drain();
  await Promise.all(running);
  expect(endings(supervisor)).toEqual([
    ['failing', false],
    ['patient', true],
  ]);
});

test('a service that begins after the drain is drained as well', async () => {
  const { supervisor } = scene();
  supervisor.drain();
  await supervisor.run(patient('late'));
  expect(endings(supervisor)).toEqual([['late', true]]);
});

test('a container counts only when it fails itself', async () => {
  const { supervisor } = scene();
  const isContainer = () => true;
  const container = supervisor.run(patient('container'), { isContainer });
  const inside = supervisor.run(failing);
  await inside;
  supervisor.drain();
  await container;
  await supervisor.run({ ...failing, name: 'broken container' }, { isContainer });
  expect(endings(supervisor)).toEqual([
    ['failing', false],
    ['broken container', false],
  ]);
});

test('what has not ended is named, without what only waits for the others', async () => {
  const { supervisor } = scene();
  const container = patient('container');
  const running = [
    supervisor.run(container, { isContainer: () => true }),
    supervisor.run(patient('one')),
    supervisor.run(patient('two')),
  ];
  await supervisor.run(failing);
  expect(supervisor.running).toEqual(['one', 'two']);
  supervisor.drain();
  await Promise.all(running);
  expect(supervisor.running).toEqual([]);
});

test('what is forgotten is told, and in no outcome', async () => {
  const { lines, supervisor } = scene();
  await supervisor.run(failing, { isForgotten: () => true });
  expect(lines).toEqual([['failing has ended', { reason: 'bad bytes' }]]);
  expect(endings(supervisor)).toEqual([]);
  await supervisor.run(failing);
  expect(endings(supervisor)).toEqual([['failing', false]]);
  supervisor.forget(failing);
  expect(endings(supervisor)).toEqual([]);
});
