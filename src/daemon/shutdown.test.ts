// Invariant: the first signal asks, the second and the end of patience stop, each with the code of its signal; nothing of
// it outlives its disposal.
import { describe, expect, test } from 'vitest';
import { systemClock } from '../core/clock.ts';
import { InterruptedError } from '../core/errors.ts';
import { silentLog } from '../core/log.ts';
import { Shutdown } from './shutdown.ts';

function scene({ timeoutMs = 60_000 } = {}) {
  const handlers = new Set<(signal: NodeJS.Signals) => void>();
  const exits: number[] = [];
  let drained = 0;
  const shutdown = new Shutdown({
    signals: {
      onSignal(handler) {
        handlers.add(handler);
        return () => handlers.delete(handler);
      },
    },
    exit: (code) => {
      exits.push(code);
      return undefined as never;
    },
    timeoutMs,
    clock: systemClock,
    log: silentLog,
    drain: () => {
      drained += 1;
    },
  });
  const send = (signal: NodeJS.Signals): void => {
    for (const handler of handlers) handler(signal);
  };
  return { shutdown, send, exits, drained: () => drained, listeners: () => handlers.size };
}

const reasonOf = ({ signal }: Shutdown): InterruptedError => signal.reason as InterruptedError;

describe('Shutdown', () => {
  test('the first signal drains, and stops nothing', () => {
    const { shutdown, send, drained } = scene();
    using _ = shutdown;
    send('SIGTERM');
    expect(drained()).toBe(1);
    expect(shutdown.signal.aborted).toBe(false);
  });

  test.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('a second signal, %s, stops at once with %i', (second, exitCode) => {
    const { shutdown, send, drained } = scene();
    using _ = shutdown;
    send('SIGTERM');
    send(second);
    expect(drained()).toBe(1);
    expect(reasonOf(shutdown)).toBeInstanceOf(InterruptedError);
    expect(reasonOf(shutdown).exitCode).toBe(exitCode);
  });

  test('the end of the timeout stops with the code of the signal', async () => {
    const { shutdown, send } = scene({ timeoutMs: 5 });
    using _ = shutdown;
    send('SIGINT');
    await new Promise((resolve) => shutdown.signal.addEventListener('abort', resolve));
    expect(reasonOf(shutdown).exitCode).toBe(130);
    expect(reasonOf(shutdown).message).toContain('shutdown timeout');
  });

  test('when disposed of it listens no more, and what had a deadline has none', async () => {
    const { shutdown, send, listeners, exits } = scene({ timeoutMs: 5 });
    send('SIGTERM');
    shutdown[Symbol.dispose]();
    await systemClock.sleep(30);
    expect(listeners()).toBe(0);
    expect(shutdown.signal.aborted).toBe(false);
    expect(exits).toEqual([]);
  });
});
