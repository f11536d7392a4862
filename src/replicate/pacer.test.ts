// Invariant: under steady load one object an interval; after a pause a burst is gathered for at most 40 ms; nothing that
// grew is left lying, with events or without.
import { describe, expect, test } from 'vitest';
import { VirtualClock } from '../../test/support/virtual-clock.ts';
import { IDLE_POLL_MS, Pacer, TRUSTED_POLL_MS } from './pacer.ts';

const intervalMs = 1000;
const signal = new AbortController().signal;

/** A log that grows at given moments; `announce`: whether file events tell of it. */
function scene(growth: readonly number[], { announce = false, trusted = false } = {}) {
  const clock = new VirtualClock();
  let readUpTo = -1;
  let armed = 0;
  const grown = (): number => growth.filter((at) => at <= clock.monotonic()).length;
  let isArmed = false;
  const bell = {
    trusted,
    get armed() {
      return isArmed;
    },
    arm: (ring: () => void) => {
      armed += 1;
      isArmed = true;
      const next = growth.find((at) => at > clock.monotonic());
      if (announce && next !== undefined) {
        // The event comes while the pacer sleeps, as early as the moment of growth.
        setImmediate(() => {
          clock.skip(next - clock.monotonic());
          ring();
        });
      }
      return Promise.resolve();
    },
    disarm: () => {
      isArmed = false;
      return Promise.resolve();
    },
  };
  const pacer = new Pacer({
    clock,
    bell,
    intervalMs,
    hasGrown: () => Promise.resolve(grown() > readUpTo),
    extent: () => Promise.resolve(grown()),
  });
  readUpTo = 0;
  const cut = (): void => {
    readUpTo = grown();
    pacer.cut();
  };
  return { clock, pacer, cut, armed: () => armed };
}

async function cuts({ clock, pacer, cut }: ReturnType<typeof scene>, count: number): Promise<number[]> {
  const at: number[] = [];
  for (let looks = 0; at.length < count && looks < 100; looks += 1) {
    if ((await pacer.wait({ signal })) !== 'due') continue;
    at.push(clock.monotonic());
    cut();
  }
  return at;
}

describe('Pacer', () => {
  test('steady load: one object an interval', async () => {
    const steady = Array.from({ length: 2000 }, (_, index) => index * 5);
    const at = await cuts(scene(steady), 5);
    const gaps = at.slice(1).map((time, index) => time - (at[index] ?? 0));
    expect(gaps).toEqual([intervalMs, intervalMs, intervalMs, intervalMs]);
  });

  test('without events a lone commit is found by polling once an interval', async () => {
    const [first] = await cuts(scene([2500]), 1);
    expect(first).toBeGreaterThanOrEqual(2500);
    expect(first).toBeLessThanOrEqual(2500 + intervalMs + 40);
  });

  test('the three commits of one call go out together', async () => {
    const steps = scene([3000, 3004, 3009]);
    expect(await cuts(steps, 1)).toHaveLength(1);
    expect(await steps.pacer.wait({ signal })).toBe('quiet');
  });

  test('once events have announced growth, an idle log is looked at rarely', async () => {
    const steps = scene([300], { announce: true });
    await cuts(steps, 1);
    const before = steps.clock.monotonic();
    expect(await steps.pacer.wait({ signal })).toBe('quiet');
    // The interval after the cut, then one long look-out.
    expect(steps.clock.monotonic() - before).toBe(intervalMs + IDLE_POLL_MS);
  });

  test('where events are to be expected, an idle log is looked at rarely from the start', async () => {
    const { clock, pacer } = scene([], { trusted: true });
    for (const looks of [1, 2, 3]) {
      expect(await pacer.wait({ signal })).toBe('quiet');
      expect(clock.monotonic()).toBe(looks * TRUSTED_POLL_MS);
    }
  });

  test('growth without an event is found at the next look, also after quiet ones', async () => {
    const [first] = await cuts(scene([70_000], { trusted: true }), 1);
    expect(first).toBeGreaterThanOrEqual(70_000);
    expect(first).toBeLessThanOrEqual(70_000 + TRUSTED_POLL_MS + 40);
  });

  test('a wake ends the wait, also one that came before it', async () => {
    const steps = scene([]);
    steps.pacer.wake();
    expect(await steps.pacer.wait({ signal })).toBe('look');
    expect(steps.clock.monotonic()).toBe(0);
  });
});
