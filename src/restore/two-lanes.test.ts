/**
 * Invariants: two lanes that share one budget, however small, both end; together they never ask more at once than one
 * would; the failure that is told is the one that stopped the other, or the first lane's where none was stopped.
 */
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ByteBudget } from '../core/byte-budget.ts';
import { MemoryReplicaClient } from '../replica/memory/memory-replica-client.ts';
import type { GetOptions } from '../replica/replica-client.ts';
import { type FetchOptions, fetchParts, type Part } from './fetch-parts.ts';
import { inTwoLanes } from './two-lanes.ts';

const OBJECT_BYTES = 400;
const never = { isFirstOfUse: (): boolean => false };

/** A store whose answers take some turns of the event loop, and which counts the requests under way. */
class SlowClient extends MemoryReplicaClient {
  atOnceMax = 0;
  #atOnce = 0;
  #turns = 0;

  override async get(key: string, options?: GetOptions): ReturnType<MemoryReplicaClient['get']> {
    this.#atOnce += 1;
    this.atOnceMax = Math.max(this.atOnceMax, this.#atOnce);
    try {
      this.#turns = (this.#turns * 7 + 3) % 11;
      for (let turn = 0; turn < this.#turns; turn += 1) await setImmediate();
      return await super.get(key, options);
    } finally {
      this.#atOnce -= 1;
    }
  }
}

interface Scene extends FetchOptions {
  readonly client: SlowClient;
}

function openScene({ budgetBytes = 1000, parallelism = 4, signal = new AbortController().signal } = {}): Scene {
  const client = new SlowClient();
  client.store.set('object', Buffer.alloc(OBJECT_BYTES));
  return { client, budget: new ByteBudget(budgetBytes), parallelism, signal };
}

const partOf = (bytes: number, extraBytes = 0): Part => ({
  key: 'object',
  objectBytes: OBJECT_BYTES,
  start: 0,
  endExclusive: bytes,
  extraBytes,
});

/** Uses each part for a while, without asking for anything, as the log does. */
async function useAll(parts: Iterable<Part> | AsyncIterable<Part>, fetch: FetchOptions): Promise<number> {
  let count = 0;
  for await (using _ of fetchParts(parts, fetch)) {
    await setImmediate();
    count += 1;
  }
  return count;
}

/** As a snapshot: what is wanted next stands in a part of the manifest, which is held meanwhile. */
async function* namedIn(manifest: Iterable<Part>, named: readonly Part[], fetch: FetchOptions): AsyncGenerator<Part> {
  for await (using _ of fetchParts(manifest, { ...fetch, parallelism: 1 })) yield* named;
}

test('with any budget that leaves free what a manifest holds, both lanes end', async () => {
  const cases = fc
    .record({ budgetBytes: fc.integer({ min: 16, max: 300 }), parallelism: fc.integer({ min: 1, max: 9 }) })
    .chain((facts) => {
      const kept = Math.floor(facts.budgetBytes / 8);
      const wishMax = facts.budgetBytes - kept;
      const sizes = fc.array(fc.integer({ min: 1, max: wishMax }), { maxLength: 12 });
      const manifest = fc.array(fc.integer({ min: 1, max: kept }), { minLength: 1, maxLength: 4 });
      return fc.record({ facts: fc.constant(facts), wishMax: fc.constant(wishMax), sizes, log: sizes, manifest });
    });
  await fc.assert(
    fc.asyncProperty(cases, async ({ facts, wishMax, sizes, log, manifest }) => {
      const scene = openScene(facts);
      // Some of what is held is not fetched: the plain bytes of large objects.
      const named = sizes.map((bytes, index) => partOf(bytes, index % 3 === 0 ? wishMax - bytes : 0));
      const heads = manifest.map((bytes) => partOf(bytes));
      const counts = await inTwoLanes(
        scene,
        [
          (fetch) => useAll(namedIn(heads, named, fetch), fetch),
          (fetch) =>
            useAll(
              log.map((bytes) => partOf(bytes)),
              fetch,
            ),
        ],
        never,
      );
      expect(counts).toEqual([sizes.length * manifest.length, log.length]);
      expect(scene.budget.held).toBe(0);
    }),
    { numRuns: 150 },
  );
});

test('the lanes share the requests at once, and who is left alone has them all', async () => {
  for (const parallelism of [1, 2, 3, 4, 7]) {
    const scene = openScene({ budgetBytes: 100_000, parallelism });
    const few = Array.from({ length: 3 }, () => partOf(10));
    const many = Array.from({ length: 60 }, () => partOf(10));
    await inTwoLanes(scene, [(fetch) => useAll(few, fetch), (fetch) => useAll(many, fetch)], never);
    expect(scene.client.atOnceMax).toBe(parallelism);
  }
});

const failsAfter = async (turns: number, message: string): Promise<never> => {
  for (let turn = 0; turn < turns; turn += 1) await setImmediate();
  throw new Error(message);
};

/** Goes on until it is stopped. */
async function untilStopped({ signal }: FetchOptions): Promise<never> {
  for (;;) {
    await setImmediate();
    signal.throwIfAborted();
  }
}

test('a failure stops the other lane, is told when that has ended, and is not hidden by what it says then', async () => {
  let ended = 0;
  const stopped = async (fetch: FetchOptions): Promise<never> => {
    try {
      return await untilStopped(fetch);
    } finally {
      await setImmediate();
      ended += 1;
    }
  };
  await expect(inTwoLanes(openScene(), [() => failsAfter(3, 'of the first'), stopped], never)).rejects.toThrow(
    'of the first',
  );
  await expect(inTwoLanes(openScene(), [stopped, () => failsAfter(3, 'of the second')], never)).rejects.toThrow(
    'of the second',
  );
  expect(ended).toBe(2);
});

test('where the first is still of use it goes on, and its own failure is the one that is told', async () => {
  const always = { isFirstOfUse: (): boolean => true };
  const second = (): Promise<never> => failsAfter(1, 'of the second');
  await expect(inTwoLanes(openScene(), [() => failsAfter(9, 'of the first'), second], always)).rejects.toThrow(
    'of the first',
  );
  let isDone = false;
  const first = async ({ signal }: FetchOptions): Promise<void> => {
    for (let turn = 0; turn < 9; turn += 1) await setImmediate();
    signal.throwIfAborted();
    isDone = true;
  };
  await expect(inTwoLanes(openScene(), [first, second], always)).rejects.toThrow('of the second');
  expect(isDone).toBe(true);
});

test('whoever cancels both gets his own reason', async () => {
  const stop = new AbortController();
  const running = inTwoLanes(openScene({ signal: stop.signal }), [untilStopped, untilStopped], never);
  stop.abort(new Error('enough'));
  await expect(running).rejects.toThrow('enough');
});
