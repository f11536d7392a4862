/**
 * Invariant: the newest call is found, whichever scan ends first; the newest object is read alone, never more than
 * `parallelism` at once, and nothing is read twice.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { crc32cValue, micros, txOffset } from '../core/types.ts';
import type { LineStep } from '../layout/walk-line.ts';
import { findLastCall } from './last-call.ts';
import type { PointCommit } from './point-request.ts';

const nextTurn = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });

const commit = (tx: number, reducer: string): PointCommit => ({
  first: txOffset(BigInt(tx)),
  last: txOffset(BigInt(tx)),
  crc: crc32cValue(tx),
  time: null,
  reducer,
});

/** Objects of ten commits; `calls` are the transactions that called `wipe`. */
class Objects {
  readonly steps: LineStep[];
  readonly reads: number[] = [];
  readonly searched = new Set<string>();
  most = 0;
  #atOnce = 0;
  readonly #calls: ReadonlySet<number>;
  readonly #bad: ReadonlySet<number>;
  readonly #delays: readonly number[];

  constructor(calls: readonly number[], { bad = [], delays }: { bad?: readonly number[]; delays: readonly number[] }) {
    this.#calls = new Set(calls);
    this.#bad = new Set(bad);
    this.#delays = delays;
    this.steps = delays.map((_, index) => ({ object: { key: `object ${index}`, size: 100 }, cut: null }) as LineStep);
  }

  async find(parallelism: number, first = 0) {
    const signal = new AbortController().signal;
    let bytes = 0;
    const found = await findLastCall(
      { steps: this.steps, first: txOffset(BigInt(first)) },
      {
        reducer: 'wipe',
        fetch: { parallelism, signal },
        scan: this.#scan,
        searched: this.searched,
        onSearched: (more) => (bytes += more),
      },
    );
    return { found, bytes };
  }

  readonly #scan: Parameters<typeof findLastCall>[1]['scan'] = async (index, visit) => {
    this.reads.push(index);
    this.#atOnce += 1;
    this.most = Math.max(this.most, this.#atOnce);
    for (let turn = this.#delays[index] ?? 0; turn > 0; turn -= 1) await nextTurn();
    this.#atOnce -= 1;
    if (this.#bad.has(index)) throw new Error(`object ${index} is damaged`);
    for (let tx = index * 10; tx < index * 10 + 10; tx += 1) {
      visit(commit(tx, this.#calls.has(tx) ? 'wipe' : 'move'), micros(BigInt(tx)));
    }
  };
}

test('the newest call, in any order of arrival', async () => {
  const delays = fc.array(fc.nat(8), { minLength: 1, maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(
      delays,
      fc.array(fc.nat(199), { maxLength: 5 }),
      fc.integer({ min: 1, max: 8 }),
      async (...given) => {
        const [turns, calls, parallelism] = given;
        const objects = new Objects(calls, { delays: turns });
        const { found } = await objects.find(parallelism);
        const newest = calls.filter((tx) => tx < turns.length * 10).sort((a, b) => b - a)[0];
        expect(found?.next.last).toBe(newest === undefined ? undefined : BigInt(newest));
        if (newest !== undefined) {
          expect(found?.index).toBe(Math.floor(newest / 10));
          expect(found?.before?.commit.last).toBe(newest % 10 === 0 ? undefined : BigInt(newest - 1));
        }
        expect(objects.most).toBeLessThanOrEqual(parallelism);
        expect(objects.reads).toHaveLength(new Set(objects.reads).size);
      },
    ),
  );
});

test('a call in the newest object costs no other', async () => {
  const objects = new Objects([195], { delays: Array.from({ length: 20 }, () => 3) });
  expect((await objects.find(8)).found?.next.last).toBe(195n);
  expect(objects.reads).toEqual([19]);
});

test('an old one is looked for side by side', async () => {
  const objects = new Objects([5], { delays: Array.from({ length: 40 }, () => 3) });
  const { found, bytes } = await objects.find(8);
  expect(found?.next.last).toBe(5n);
  expect(objects.most).toBe(8);
  expect(bytes).toBe(39 * 100);
});

test('a commit before the run is no answer', async () => {
  const objects = new Objects([12], { delays: [0, 0] });
  expect((await objects.find(2, 13)).found).toBeNull();
  expect((await objects.find(2, 12)).found?.next.last).toBe(12n);
});

test('a damaged object is no matter where a newer one has the call, and none is read again after it', async () => {
  const delays = Array.from({ length: 12 }, () => 0);
  const behind = new Objects([75], { bad: [3, 6], delays });
  expect((await behind.find(8)).found?.next.last).toBe(75n);
  const objects = new Objects([5], { bad: [4], delays });
  await expect(objects.find(4)).rejects.toThrow('object 4');
  await expect(objects.find(4)).rejects.toThrow('object 4');
  for (const index of [5, 6, 7, 8, 9, 10, 11]) expect(objects.reads.filter((read) => read === index)).toHaveLength(1);
});
