/** Invariant: a call ends by its work, its time or its caller, whichever is first, and leaves no listener behind. */
import { getEventListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Deadline } from './deadline.ts';
import { UnavailableError } from './replica-client.ts';

const never = new Promise<never>(() => undefined);

test('the time is up', async () => {
  using deadline = new Deadline({ timeoutMs: 20, what: 'put x' });
  await expect(deadline.race(never)).rejects.toThrow('no answer within 20 ms: put x');
  expect(deadline.signal.reason).toBeInstanceOf(UnavailableError);
});

test('progress begins the time anew', async () => {
  using deadline = new Deadline({ timeoutMs: 400, what: 'put x' });
  const work = (async () => {
    for (let i = 0; i < 6; i += 1) {
      await delay(100);
      deadline.touch();
    }
    return 'done';
  })();
  expect(await deadline.race(work)).toBe('done');
});

test('the caller ends it, with its own reason', async () => {
  const controller = new AbortController();
  using deadline = new Deadline({ timeoutMs: 60_000, what: 'put x', signal: controller.signal });
  const ended = deadline.race(never);
  controller.abort(new Error('stop'));
  await expect(ended).rejects.toThrow('stop');
  expect(() => new Deadline({ timeoutMs: 1, what: 'x', signal: controller.signal })).toThrow('stop');
});

test('work that ends late is handed over for cleaning up', async () => {
  using deadline = new Deadline({ timeoutMs: 10, what: 'open x' });
  const late: string[] = [];
  const work = delay(60).then(() => 'a handle');
  await expect(deadline.race(work, { discard: (value) => late.push(value) })).rejects.toThrow(UnavailableError);
  await work;
  await delay(0);
  expect(late).toEqual(['a handle']);
});

test('nothing stays on a signal that lives as long as the daemon', async () => {
  const { signal } = new AbortController();
  for (let i = 0; i < 20; i += 1) {
    using deadline = new Deadline({ timeoutMs: 1000, what: 'x', signal });
    await deadline.race(Promise.resolve(i));
    expect(getEventListeners(deadline.signal, 'abort')).toHaveLength(0);
  }
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
});
