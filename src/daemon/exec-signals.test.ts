// Invariant: a signal reaches either the server or ourselves, never both, and none is lost in between.
import { describe, expect, test } from 'vitest';
import { silentLog } from '../core/log.ts';
import { ExecSignals, PASSED_SIGNALS } from './exec-signals.ts';

function scene({ terminal = false } = {}) {
  let toProcess: (signal: NodeJS.Signals) => void = () => undefined;
  let names: readonly NodeJS.Signals[] = [];
  const signals = new ExecSignals({
    signals: {
      onSignal(handler, wanted = []) {
        toProcess = handler;
        names = wanted;
        return () => {
          names = [];
        };
      },
    },
    terminal,
    log: silentLog,
  });
  const server: NodeJS.Signals[] = [];
  const ours: (string | undefined)[] = [];
  const listen = (): void => void signals.onSignal((signal, because) => ours.push(because ?? signal));
  return { signals, server, ours, listen, send: (signal: NodeJS.Signals) => toProcess(signal), names: () => names };
}

const settled = (): Promise<void> => Promise.resolve();

describe('ExecSignals', () => {
  test('while the server lives it has every signal, and we have none', () => {
    const { signals, server, ours, listen, send } = scene();
    listen();
    signals.passTo((signal) => server.push(signal));
    for (const signal of PASSED_SIGNALS) send(signal);
    expect(server).toEqual(PASSED_SIGNALS);
    expect(ours).toEqual([]);
    expect(signals.asked).toBeNull();
  });

  test('of a terminal’s own signals the server has had its copy', () => {
    const { signals, server, send } = scene({ terminal: true });
    signals.passTo((signal) => server.push(signal));
    for (const signal of PASSED_SIGNALS) send(signal);
    expect(server).toEqual(['SIGTERM', 'SIGUSR1', 'SIGUSR2']);
  });

  test('its end asks us once; what comes then is ours, and the second', () => {
    const { signals, server, ours, listen, send } = scene();
    listen();
    signals.passTo((signal) => server.push(signal));
    signals.serverEnded('the server has ended');
    send('SIGINT');
    expect(server).toEqual([]);
    expect(ours).toEqual(['the server has ended', 'SIGINT']);
  });

  test('before it is started a signal is ours, also for who listens only later', async () => {
    const { signals, ours, listen, send } = scene();
    send('SIGUSR1');
    expect(signals.asked).toBeNull();
    send('SIGINT');
    expect(signals.asked).toBe('SIGINT');
    listen();
    await settled();
    expect(ours).toEqual(['SIGINT']);
  });

  test('who has stopped listening is told nothing more', async () => {
    const { signals, send } = scene();
    const told: string[] = [];
    const first = signals.onSignal((signal) => told.push(signal));
    first();
    send('SIGTERM');
    const second = signals.onSignal((signal) => told.push(signal));
    second();
    await settled();
    expect(told).toEqual([]);
  });

  test('disposed of, it leaves the process alone', () => {
    const { signals, names } = scene();
    expect(names()).toEqual(PASSED_SIGNALS);
    signals[Symbol.dispose]();
    expect(names()).toEqual([]);
  });
});
