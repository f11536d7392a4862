/**
 * Invariant: results come in the order of the items, at most `ahead` are begun at once, and a failure comes in its
 * place. However a loop over it ends, the source is closed and nothing is left running.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mapAhead } from './map-ahead.ts';

const turns = async (count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
};

interface Watched {
  closed: boolean;
  running: number;
  most: number;
}

async function* source(delays: readonly number[], watched: Watched): AsyncGenerator<number, void, void> {
  try {
    for (const [index, delay] of delays.entries()) {
      await turns(delay);
      yield index;
    }
  } finally {
    watched.closed = true;
  }
}

const work =
  (delays: readonly number[], watched: Watched) =>
  async (index: number): Promise<number> => {
    watched.running += 1;
    watched.most = Math.max(watched.most, watched.running);
    await turns(delays[index] ?? 0);
    watched.running -= 1;
    return index * 10;
  };

const fresh = (): Watched => ({ closed: false, running: 0, most: 0 });
const delays = fc.array(fc.nat({ max: 3 }), { maxLength: 12 });

describe('mapAhead', () => {
  test('order and bound hold for any delays of source and work', async () => {
    await fc.assert(
      fc.asyncProperty(delays, delays, fc.integer({ min: 1, max: 4 }), async (sourceDelays, workDelays, ahead) => {
        const watched = fresh();
        const results: number[] = [];
        for await (const result of mapAhead(source(sourceDelays, watched), work(workDelays, watched), { ahead })) {
          results.push(result);
        }
        expect(results).toEqual(sourceDelays.map((_, index) => index * 10));
        expect(watched.most).toBeLessThanOrEqual(ahead);
        expect(watched.closed).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  test('several are under way at once', async () => {
    const watched = fresh();
    for await (const _ of mapAhead([0, 1, 2, 3], work([3, 3, 3, 3], watched), { ahead: 3 }));
    expect(watched.most).toBe(3);
  });

  test('a result is given while the source has nothing more yet', async () => {
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    async function* slow(): AsyncGenerator<number, void, void> {
      yield 1;
      await gate;
      yield 2;
    }
    const results = mapAhead(slow(), async (item) => item, { ahead: 3 });
    expect(await results.next()).toEqual({ done: false, value: 1 });
    release();
    expect(await results.next()).toEqual({ done: false, value: 2 });
    expect((await results.next()).done).toBe(true);
  });

  test.for(['work', 'source'] as const)('a failure of the %s comes behind the results before it', async (where) => {
    const watched = fresh();
    async function* failing(): AsyncGenerator<number, void, void> {
      yield* source([0, 0, 0], watched);
      if (where === 'source') throw new Error('broken');
      yield 3;
    }
    const results: number[] = [];
    const reading = (async () => {
      const doubled = async (item: number): Promise<number> => {
        if (item === 3) throw new Error('broken');
        await turns(4);
        return item;
      };
      for await (const result of mapAhead(failing(), doubled, { ahead: 8 })) results.push(result);
    })();
    await expect(reading).rejects.toThrow('broken');
    expect(results).toEqual([0, 1, 2]);
    expect(watched.closed).toBe(true);
  });

  test('leaving early closes the source and waits for what was begun', async () => {
    const watched = fresh();
    for await (const _ of mapAhead(source([0, 0, 0, 0], watched), work([0, 9, 9, 9], watched), { ahead: 4 })) break;
    expect(watched).toMatchObject({ closed: true, running: 0 });
  });

  test('an abort ends it with its reason', async () => {
    const watched = fresh();
    const abort = new AbortController();
    const reading = (async () => {
      const options = { ahead: 2, signal: abort.signal };
      for await (const _ of mapAhead(source([0, 0, 0], watched), work([], watched), options))
        abort.abort(new Error('enough'));
    })();
    await expect(reading).rejects.toThrow('enough');
    expect(watched.closed).toBe(true);
  });
});
