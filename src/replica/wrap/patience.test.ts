/**
 * Invariants: between two attempts the wait grows up to its cap, is never shorter than the store asked for, and never
 * longer than the store's silence; a refusal ends a command at once and a service never, once it was allowed; a hiccup
 * is not spoken of, an outage is warned of, one that lasts is an error, each seldom; and its end is told.
 */
import { describe, expect, test } from 'vitest';
import { VirtualClock } from '../../../test/support/virtual-clock.ts';
import { LocalFileError } from '../../core/errors.ts';
import type { Log, LogFacts } from '../../core/log.ts';
import { PreconditionFailedError, UnauthorizedError, UnavailableError } from '../replica-client.ts';
import { GivenUp } from './given-up.ts';
import { type AttemptOptions, Patience, type RetryOptions, RETRY_AFTER_MS_MAX } from './patience.ts';

const PUT: AttemptOptions = { operation: 'put', what: 'put a' };
const MINUTE_MS = 60_000;

interface Spoken {
  readonly level: string;
  readonly message: string;
  readonly atMs: number;
  readonly facts: LogFacts | undefined;
}

function setUp(options: Partial<RetryOptions> = {}) {
  const clock = new VirtualClock();
  const spoken: Spoken[] = [];
  const at = (level: string) => (message: string, facts?: LogFacts) =>
    void spoken.push({ level, message, atMs: clock.monotonic(), facts });
  const log: Log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), child: () => log };
  const patience = new Patience({ clock, log, random: () => 0.5, ...options });
  const loud = () => spoken.filter(({ level }) => level !== 'debug');
  return { clock, patience, spoken, loud };
}

/** Fails until that time, and notes when it was asked. */
function failingUntil(clock: VirtualClock, untilMs: number, error: () => Error) {
  const asked: number[] = [];
  const work = async (): Promise<void> => {
    asked.push(clock.monotonic());
    if (clock.monotonic() < untilMs) throw error();
  };
  return { asked, work };
}

const gaps = (times: readonly number[]): number[] => times.slice(1).map((time, index) => time - (times[index] ?? 0));
/** As a store without room says it. */
class FullError extends LocalFileError {
  override shouldRetry(): boolean {
    return true;
  }
}
const silence = (): Error => new UnavailableError('nothing');
const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

describe('how long to wait', () => {
  test('waits grow to a cap of 30 s: an outage of ten hours costs a bounded number of requests', async () => {
    const { clock, patience } = setUp({ random: Math.random });
    const { asked, work } = failingUntil(clock, 600 * MINUTE_MS, silence);
    await patience.until(PUT, work);
    expect(Math.max(...gaps(asked))).toBeLessThanOrEqual(30_000);
    expect(asked.length).toBeLessThan((600 * MINUTE_MS) / 15_000 + 20);
    // Not in step with others that lost the same store.
    expect(new Set(gaps(asked).slice(-10)).size).toBe(10);
  });

  test('as long as the store asks for, by all calls, and no longer than is sensible', async () => {
    const { clock, patience } = setUp();
    const busy = (): Error => new UnavailableError('later', { answered: true, retryAfterMs: 120_000 });
    const { asked, work } = failingUntil(clock, 1, busy);
    await patience.until(PUT, work);
    expect(gaps(asked)[0]).toBeGreaterThanOrEqual(120_000);
    expect(gaps(asked)[0]).toBeLessThanOrEqual(132_000);

    const rude = setUp();
    const day = (): Error => new UnavailableError('later', { answered: true, retryAfterMs: 86_400_000 });
    const first = failingUntil(rude.clock, 1, day);
    const second = failingUntil(rude.clock, 0, silence);
    const failing = rude.patience.until(PUT, first.work);
    // Until it has failed: its wait ends in a later turn.
    for (let steps = 0; steps < 20; steps += 1) await Promise.resolve();
    await rude.patience.until({ operation: 'get', what: 'get b' }, second.work);
    await failing;
    expect(second.asked[0]).toBeGreaterThanOrEqual(RETRY_AFTER_MS_MAX);
    expect(first.asked[1]).toBeLessThanOrEqual(RETRY_AFTER_MS_MAX * 1.1 + 1);
  });

  test('a command does not wait for longer than its own patience', async () => {
    const { clock, patience } = setUp({ giveUpAfterMs: 30_000 });
    const busy = (): Error => new UnavailableError('later', { answered: true, retryAfterMs: 120_000 });
    await expect(patience.until(PUT, failingUntil(clock, 1e9, busy).work)).rejects.toThrow('later');
    expect(clock.monotonic()).toBe(30_000);
  });

  test('that is for the store: what comes behind is asked once, until there is an answer', async () => {
    const givenUp = new GivenUp();
    const { clock, patience } = setUp({ giveUpAfterMs: 30_000, givenUp });
    const next = new Patience({ clock, random: () => 0.5, giveUpAfterMs: 30_000, givenUp });
    await expect(patience.until(PUT, failingUntil(clock, 1e9, silence).work)).rejects.toThrow('nothing');
    await expect(next.until(PUT, failingUntil(clock, 1e9, silence).work)).rejects.toThrow('nothing');
    expect(clock.monotonic()).toBe(30_000);
    await next.until(PUT, async () => undefined);
    await expect(patience.until(PUT, failingUntil(clock, 1e9, silence).work)).rejects.toThrow('nothing');
    expect(clock.monotonic()).toBe(60_000);
  });

  test('room in a store that is full is waited for once, whatever small thing still fits', async () => {
    const { clock, patience } = setUp({ giveUpAfterMs: 30_000 });
    const full = (): Error => new FullError('no space left');
    const small = async (): Promise<void> => {
      await patience.until({ operation: 'put', what: 'put small' }, async () => undefined);
    };
    const { asked, work } = failingUntil(clock, 1e9, full);
    const talkative = async (): Promise<void> => {
      await small();
      await work();
    };
    await expect(patience.until(PUT, talkative)).rejects.toThrow('no space left');
    expect(clock.monotonic()).toBe(30_000);
    const tries = asked.length;
    await small();
    await expect(patience.until(PUT, work)).rejects.toThrow('no space left');
    expect([clock.monotonic(), asked.length]).toEqual([30_000, tries + 1]);
  });

  test('a service gives up neither', async () => {
    const { clock, patience } = setUp();
    const full = failingUntil(clock, 10 * MINUTE_MS, () => new FullError('no space left'));
    await patience.until(PUT, full.work);
    await patience.until(PUT, failingUntil(clock, 20 * MINUTE_MS, silence).work);
    expect(clock.monotonic()).toBeGreaterThanOrEqual(20 * MINUTE_MS);
  });
});

/** A clock on which nobody wakes by himself. */
class SleepyClock extends VirtualClock {
  override async sleep(_ms: number, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    await new Promise((_, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });
  }
}

describe('when the store is back', () => {
  test('its first answer wakes whoever waits since it fell silent; one that still fails is not woken again', async () => {
    const clock = new SleepyClock();
    const { patience } = setUp({ clock });
    await patience.until(PUT, async () => undefined);
    clock.skip(5);
    let attempts = 0;
    void patience.until(PUT, async () => {
      attempts += 1;
      throw silence();
    });
    await turns();
    expect(attempts).toBe(1);
    for (let answers = 0; answers < 5; answers += 1) {
      clock.skip(5);
      await patience.until(PUT, async () => undefined);
      await turns();
    }
    expect(attempts).toBe(2);
  });

  test('one that was told "later" is not woken by the luck of another', async () => {
    const clock = new SleepyClock();
    const { patience } = setUp({ clock });
    let attempts = 0;
    void patience.until(PUT, async () => {
      attempts += 1;
      throw new UnavailableError('503', { answered: true });
    });
    await turns();
    clock.skip(5);
    await patience.until(PUT, async () => undefined);
    await turns();
    expect(attempts).toBe(1);
  });
});

describe('a refusal', () => {
  const refusal = (): Error => new UnauthorizedError('no', { hint: 'Ask for it.' });

  test('in a service, of what was allowed once: waited out, an error at once, and the good news', async () => {
    const { clock, patience, loud } = setUp();
    await patience.until(PUT, async () => undefined);
    const { asked, work } = failingUntil(clock, 90 * MINUTE_MS, refusal);
    await patience.until(PUT, work);
    expect(Math.max(...gaps(asked))).toBeLessThanOrEqual(30_000);
    const said = loud();
    expect(said[0]).toMatchObject({ level: 'error', atMs: 0, facts: { hint: 'Ask for it.', code: 'UNAUTHORIZED' } });
    expect(said.filter(({ level }) => level === 'error').length).toBeLessThanOrEqual(10);
    expect(said.at(-1)).toMatchObject({ level: 'info', message: 'the store answers again after 90 min' });
  });

  test('a failed condition proves the right too', async () => {
    const { clock, patience } = setUp();
    const lost = patience.until(PUT, () => Promise.reject(new PreconditionFailedError('lost')));
    await expect(lost).rejects.toThrow('lost');
    await expect(patience.until(PUT, failingUntil(clock, 1000, refusal).work)).resolves.toBeUndefined();
  });

  test.each([
    ['of what was never allowed', {}, [] as const],
    ['of something else than was allowed', {}, ['get'] as const],
    ['in a command', { giveUpAfterMs: 30_000 }, ['put'] as const],
  ])('%s: the end', async (_, options, allowed) => {
    const { clock, patience } = setUp(options);
    for (const operation of allowed) await patience.until({ operation, what: 'x' }, async () => undefined);
    const { asked, work } = failingUntil(clock, 1000, refusal);
    await expect(patience.until(PUT, work)).rejects.toThrow(UnauthorizedError);
    expect(asked).toHaveLength(1);
  });
});

describe('what is said', () => {
  test('of a hiccup nothing', async () => {
    const { clock, patience, spoken } = setUp();
    await patience.until(PUT, failingUntil(clock, 2000, silence).work);
    expect(new Set(spoken.map(({ level }) => level))).toEqual(new Set(['debug']));
  });

  test('a warning after ten seconds, one a minute, an error after five minutes, one in ten minutes, the end', async () => {
    const { clock, patience, loud } = setUp();
    await patience.until(PUT, failingUntil(clock, 120 * MINUTE_MS, silence).work);
    const said = loud();
    const warnings = said.filter(({ level }) => level === 'warn');
    const errors = said.filter(({ level }) => level === 'error');
    expect(warnings[0]?.atMs).toBeGreaterThanOrEqual(10_000);
    expect(warnings.length).toBeGreaterThan(2);
    expect(warnings.length).toBeLessThanOrEqual(5);
    expect(errors[0]?.atMs).toBeGreaterThanOrEqual(5 * MINUTE_MS);
    expect(errors.length).toBeGreaterThan(8);
    expect(errors.length).toBeLessThanOrEqual(12);
    expect(Math.max(...warnings.map(({ atMs }) => atMs))).toBeLessThan(errors[0]?.atMs ?? 0);
    expect(said.at(-1)?.level).toBe('info');
    expect(said.at(-1)?.message).toMatch(/again after (120 min|2\.0 h)/);
  });

  test('a hundred calls that fail say no more than one', async () => {
    const { clock, patience, loud } = setUp();
    await Promise.all(
      Array.from({ length: 100 }, () => patience.until(PUT, failingUntil(clock, 20 * MINUTE_MS, silence).work)),
    );
    expect(loud().length).toBeLessThanOrEqual(10);
    expect(loud().filter(({ level }) => level === 'info')).toHaveLength(1);
  });
});
