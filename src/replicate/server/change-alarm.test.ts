/** Invariant: a ring is never lost and never brings more than one look; without one the interval does. */
import { expect, test } from 'vitest';
import { VirtualClock } from '../../../test/support/virtual-clock.ts';
import type { Bell } from '../../capture/directory-bell.ts';
import { ChangeAlarm } from './change-alarm.ts';

class HandBell implements Bell {
  armed = false;
  readonly trusted = true;
  ring: () => void = () => undefined;

  async arm(ring: () => void): Promise<void> {
    this.armed = true;
    this.ring = ring;
  }

  async disarm(): Promise<void> {
    this.armed = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.disarm();
  }
}

async function setUp(): Promise<{ bell: HandBell; clock: VirtualClock; readonly waitedMs: () => Promise<number> }> {
  const bell = new HandBell();
  const clock = new VirtualClock();
  const alarm = new ChangeAlarm(bell, { clock });
  await alarm.arm();
  const { signal } = new AbortController();
  const waitedMs = async (): Promise<number> => {
    const before = clock.monotonic();
    await alarm.wait(10_000, { signal });
    return clock.monotonic() - before;
  };
  return { bell, clock, waitedMs };
}

test('without a ring: the interval', async () => {
  const { waitedMs } = await setUp();
  expect(await waitedMs()).toBe(10_000);
});

test('rung during the work, however often: one early look, then the interval again', async () => {
  const { bell, waitedMs } = await setUp();
  bell.ring();
  bell.ring();
  expect(await waitedMs()).toBe(500);
  expect(await waitedMs()).toBe(10_000);
});

test('rung during the wait: it ends a little later', async () => {
  const { bell, waitedMs } = await setUp();
  const waiting = waitedMs();
  bell.ring();
  expect(await waiting).toBe(500);
});

test('an abort ends the wait with its reason, also after a ring', async () => {
  const clock = new VirtualClock();
  const bell = new HandBell();
  const alarm = new ChangeAlarm(bell, { clock });
  await alarm.arm();
  for (const rings of [false, true]) {
    const controller = new AbortController();
    const waiting = alarm.wait(10_000, { signal: controller.signal });
    if (rings) bell.ring();
    controller.abort(new Error('stop'));
    await expect(waiting).rejects.toThrow('stop');
  }
});
