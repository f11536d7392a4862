/** Invariant: the first signal asks the work to end, the second ends the process; without a signal neither happens. */
import { expect, test } from 'vitest';
import { InterruptedError } from '../core/errors.ts';
import { interruptible } from './interrupt.ts';
import type { Io } from './io.ts';

function open() {
  const handlers = new Set<(signal: NodeJS.Signals) => void>();
  const exits: number[] = [];
  const io: Io = {
    argv: [],
    env: {},
    stdout: { write: () => true },
    stderr: { write: () => true },
    signals: {
      onSignal(handler) {
        handlers.add(handler);
        return () => handlers.delete(handler);
      },
    },
    exit: (code) => {
      exits.push(code);
      throw new Error('the process ends');
    },
  };
  const send = (signal: NodeJS.Signals): void => {
    for (const handler of handlers) handler(signal);
  };
  return { io, send, exits, handlers };
}

const untilAborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error));
  });

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('%s aborts with an error of exit code %i', async (name, code) => {
  const { io, send, exits, handlers } = open();
  const work = interruptible(io, { message: 'stopped' }, untilAborted);
  send(name);
  await expect(work).rejects.toMatchObject({ name: 'InterruptedError', message: 'stopped', exitCode: code });
  await expect(work).rejects.toBeInstanceOf(InterruptedError);
  expect(exits).toEqual([]);
  expect(handlers.size).toBe(0);
});

test('a second signal ends the process while the work hangs', () => {
  const { io, send, exits } = open();
  void interruptible(io, { message: 'stopped' }, () => new Promise(() => undefined));
  send('SIGINT');
  expect(() => send('SIGTERM')).toThrow('the process ends');
  expect(exits).toEqual([143]);
});

test('without a signal the result is given, and nobody listens any more', async () => {
  const { io, handlers } = open();
  expect(await interruptible(io, { message: 'stopped' }, () => Promise.resolve(5))).toBe(5);
  expect(handlers.size).toBe(0);
});
