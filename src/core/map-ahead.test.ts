// Invariant: every item's result comes, once, in order, whatever takes how long; failures come in their place.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mapAhead } from './map-ahead.ts';

const turns = async (count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

async function* slowly(items: readonly { pull: number; work: number }[]): AsyncGenerator<number, void, void> {
  for (const [index, { pull }] of items.entries()) {
    await turns(pull);
    yield index;
  }
}

describe('mapAhead', () => {
  const step = fc.record({ pull: fc.nat(3), work: fc.nat(3) });

  test('all results in order, with sources and work of any speed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), fc.integer({ min: 1, max: 4 }), async (items, ahead) => {
        const seen: number[] = [];
        const work = async (index: number): Promise<number> => {
          await turns(items[index]?.work ?? 0);
          return index;
        };
        for await (const index of mapAhead(slowly(items), work, { ahead })) seen.push(index);
        expect(seen).toEqual(items.map((_, index) => index));
      }),
    );
  });

  test('regression: work that outlasts the end of its source is not lost', async () => {
    const results: string[] = [];
    const work = async (item: string): Promise<string> => {
      await turns(5);
      return item;
    };
    for await (const item of mapAhead(['only'], work, { ahead: 2 })) results.push(item);
    expect(results).toEqual(['only']);
  });

  test('a failure comes after the results before it', async () => {
    const seen: number[] = [];
    const run = async (): Promise<void> => {
      const work = async (item: number): Promise<number> => {
        await turns(3 - item);
        if (item === 2) throw new RangeError('two');
        return item;
      };
      for await (const item of mapAhead([0, 1, 2, 3], work, { ahead: 3 })) seen.push(item);
    };
    await expect(run()).rejects.toThrow('two');
    expect(seen).toEqual([0, 1]);
  });
});
