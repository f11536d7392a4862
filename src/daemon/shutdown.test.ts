// Invariant: the first signal asks, the second and the end of patience stop, each with the code of its signal; nothing of
// it outlives its disposal.
import { describe, expect, test } from 'vitest';
import { type Clock, systemClock } from '../core/clock.ts';
import { InterruptedError } from '../core/errors.ts';
import { type Log, silentLog } from '../core/log.ts';
import { Shutdown } from './shutdown.ts';

interface SceneOptions {
  readonly timeoutMs?: number;
  readonly clock?: Clock;
  readonly log?: Log;
  readonly waitedFor?: () => readonly string[];
}

function scene({ timeoutMs = 60_000, clock = systemClock, log = silentLog, waitedFor = () => [] }: SceneOptions = {}) {
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
    clock,
    log,
    waitedFor,
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

  test('while it waits, and when it gives up, it says what for', async () => {
    const names = ['one → a', 'two → b'];
    const said: unknown[] = [];
    const { shutdown, send } = scene({
      timeoutMs: 20_000,
      clock: { ...systemClock, sleep: (ms, options) => systemClock.sleep(ms / 1000, options) },
      log: {
        ...silentLog,
        info: (text, facts) => {
          said.push([text, facts?.['secondsLeft'] ?? null]);
          if (facts?.['secondsLeft'] !== undefined) names.pop();
        },
      },
      waitedFor: () => names,
    });
    send('SIGTERM');
    await new Promise((resolve) => shutdown.signal.addEventListener('abort', resolve));
    expect(said).toEqual([
      ['SIGTERM: storing what is left', null],
      ['still storing what is left: one → a, two → b', 15],
      ['still storing what is left: one → a', 5],
    ]);
    expect(reasonOf(shutdown).message).toBe('not all was stored within the shutdown timeout of 20 s');
    shutdown[Symbol.dispose]();
  });

  test('what is waited for in the end stands in the error', async () => {
    const { shutdown, send } = scene({ timeoutMs: 5, waitedFor: () => ['one → a'] });
    using _ = shutdown;
    send('SIGTERM');
    await new Promise((resolve) => shutdown.signal.addEventListener('abort', resolve));
    expect(reasonOf(shutdown).message).toMatch(/timeout of 0.005 s: one → a$/);
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
