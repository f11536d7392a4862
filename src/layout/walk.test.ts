/**
 * Invariant: a walk is what trying every way from the start gives: of those that reach furthest the one that prefers, at
 * each step, the greatest last and then the higher level; and two checksums for one transaction are never passed over.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CorruptionError } from '../core/errors.ts';
import { crc32cValue, type Position, txOffset } from '../core/types.ts';
import type { LogObject } from './keys.ts';
import { crcAt, generationDocument, logObject, position, shapes } from '../../test/support/log-objects.ts';
import { generationStart, type WalkStart, walkGeneration } from './walk.ts';

const after = (tx: number): { next: ReturnType<typeof txOffset>; prev: ReturnType<typeof crc32cValue> } => ({
  next: txOffset(tx + 1),
  prev: crc32cValue(crcAt(tx)),
});
const chainOf = (objects: readonly LogObject[], start: WalkStart, until?: Position): string[] =>
  walkGeneration(objects, start, { until }).chain.map(
    ({ object, cut }) => `${shapes([object])[0]}${cut ? ` cut ${cut.tx}` : ''}`,
  );

/** Every way, one by one. */
function tryAll(objects: readonly LogObject[], start: WalkStart, until: Position | undefined) {
  const reached = new Set<LogObject>();
  const goals = until ? objects.filter(({ first }) => first <= until.tx) : objects;
  const follow = (object: LogObject): LogObject[] => {
    reached.add(object);
    if (until && object.last >= until.tx) {
      // What follows belongs to no chain, but is reached all the same.
      candidates(object).forEach(follow);
      return [object];
    }
    return [object, ...best(candidates(object).map(follow))];
  };
  const candidates = ({ last, crc }: LogObject) =>
    goals.filter(({ first, prev }) => first === last + 1n && prev === crc);
  const reach = (chain: readonly LogObject[]): bigint => {
    const last = chain.at(-1)?.last ?? -1n;
    return until && last > until.tx ? until.tx : last;
  };
  const best = (chains: readonly LogObject[][]): LogObject[] =>
    chains.toSorted((a, b) => {
      const [x, y] = [a[0] as LogObject, b[0] as LogObject];
      return Number(reach(b) - reach(a)) || Number(y.last - x.last) || y.level - x.level || Number(y.first - x.first);
    })[0] ?? [];
  const first =
    'next' in start
      ? goals.filter((object) => object.first === start.next && object.prev === start.prev)
      : goals.filter((object) => object.first <= start.covering && object.last >= start.covering);
  const chain = best(first.map(follow));

  const ends = [...reached].map(({ last, crc }) => ({ tx: last, crc }));
  if (until) ends.push(until);
  if ('next' in start && start.next > 0n) ends.push({ tx: txOffset(start.next - 1n), crc: start.prev });
  const isForked = ends.some((a) => ends.some((b) => a.tx === b.tx && a.crc !== b.crc));
  return { chain, reached, isForked };
}

const wish = fc.record({
  first: fc.nat({ max: 8 }),
  length: fc.nat({ max: 4 }),
  level: fc.nat({ max: 2 }),
  // Mostly one history, now and then another one.
  wrongPrev: fc.nat({ max: 12 }).map((n) => n === 0),
  wrongEnd: fc.nat({ max: 12 }).map((n) => n === 0),
});
const sets = fc.uniqueArray(
  wish.map(({ first, length, level, wrongPrev, wrongEnd }) =>
    logObject({
      first,
      last: first + length,
      level,
      prev: crcAt(first - 1, Number(wrongPrev)),
      crc: crcAt(first + length, Number(wrongEnd)),
    }),
  ),
  { selector: ({ key }) => key, maxLength: 12 },
);
const start: fc.Arbitrary<WalkStart> = fc.oneof(
  fc.integer({ min: -1, max: 4 }).map(after),
  fc.nat({ max: 8 }).map((tx) => ({ covering: txOffset(tx) })),
);

describe('walk', () => {
  test('is what trying every way gives', () => {
    let forked = 0;
    let cut = 0;
    fc.assert(
      fc.property(sets, start, fc.option(fc.nat({ max: 10 }), { nil: undefined }), (objects, from, at) => {
        const until = at === undefined ? undefined : position(at);
        const empty = until !== undefined && 'next' in from && from.next === until.tx + 1n;
        const model = tryAll(objects, from, until);
        if (model.isForked) {
          forked += 1;
          expect(() => walkGeneration(objects, from, { until })).toThrow(CorruptionError);
          return;
        }
        const walk = walkGeneration(objects, from, { until });
        // Objects of one name but for the level are alike in every way that counts: compare what they hold.
        expect(shapes(walk.chain.map(({ object }) => object))).toEqual(empty ? [] : shapes(model.chain));
        expect(walk.unreached).toEqual(objects.filter((object) => !model.reached.has(object)));
        const last = walk.chain.at(-1);
        const isThere = until !== undefined && (empty || (last !== undefined && last.object.last >= until.tx));
        expect(walk.reached).toBe(isThere ? 'until' : 'end');
        expect(walk.chain.slice(0, -1).every((step) => step.cut === null)).toBe(true);
        if (until && last && last.object.last > until.tx) {
          cut += 1;
          expect(last.cut).toEqual(until);
          expect(walk.end).toMatchObject({ ...until, timeIsExact: false });
        } else if (last) {
          expect(last.cut).toBeNull();
          expect(walk.end).toMatchObject({ tx: last.object.last, crc: last.object.crc, timeIsExact: true });
        } else {
          expect(walk.end).toBeNull();
        }
      }),
      { numRuns: 3000 },
    );
    expect(Math.min(forked, cut)).toBeGreaterThan(50);
  });

  test('prefers the greatest last, then the higher level', () => {
    const objects = [
      logObject({ first: 0, last: 4 }),
      logObject({ first: 5, last: 9 }),
      logObject({ first: 0, last: 9, level: 1 }),
      logObject({ first: 10, last: 10 }),
      logObject({ first: 10, last: 10, level: 1 }),
    ];
    expect(chainOf(objects, after(-1))).toEqual(['0-9@1', '10-10@1']);
  });

  test('goes back where the greatest last leads less far', () => {
    const objects = [
      logObject({ first: 0, last: 6, level: 1 }),
      logObject({ first: 0, last: 4 }),
      logObject({ first: 5, last: 9 }),
    ];
    expect(chainOf(objects, after(-1))).toEqual(['0-4@0', '5-9@0']);
    expect(chainOf(objects.slice(0, 2), after(-1))).toEqual(['0-6@1']);
  });

  test('stops at a hole, and tells what lies behind it', () => {
    const objects = [logObject({ first: 0, last: 4 }), logObject({ first: 6, last: 9 })];
    const walk = walkGeneration(objects, after(-1));
    expect(walk.end).toMatchObject({ tx: 4n, crc: crcAt(4) });
    expect(shapes(walk.unreached)).toEqual(['6-9@0']);
  });

  test('ends at a parent point: within an object, at its end, and before it begins', () => {
    const objects = [logObject({ first: 0, last: 4 }), logObject({ first: 5, last: 9 })];
    expect(chainOf(objects, after(-1), position(7))).toEqual(['0-4@0', '5-9@0 cut 7']);
    expect(chainOf(objects, after(-1), position(4))).toEqual(['0-4@0']);
    expect(walkGeneration(objects, after(4), { until: position(4) })).toMatchObject({ chain: [], reached: 'until' });
    expect(walkGeneration(objects, after(-1), { until: position(12) }).reached).toBe('end');
  });

  test('a parent point with another checksum than the object that ends there is corruption', () => {
    const objects = [logObject({ first: 0, last: 4 })];
    expect(() => walkGeneration(objects, after(-1), { until: position(4, 1) })).toThrow(/two checksums/);
    expect(() => walkGeneration(objects, after(4), { until: position(4, 1) })).toThrow(/two checksums/);
  });

  test('the greatest offset that there is', () => {
    const max = 2n ** 64n - 1n;
    const object = { ...logObject({ first: 0, last: 1 }), last: txOffset(max) };
    expect(walkGeneration([object], after(-1)).end?.tx).toBe(max);
  });

  test('100,000 objects in a row, each level twice, need no deep stack and no second try', () => {
    const objects: LogObject[] = [];
    for (let first = 0; first < 50_000; first++) {
      objects.push(logObject({ first, last: first }), logObject({ first, last: first, level: 1 }));
    }
    const walk = walkGeneration(objects, after(-1));
    expect(walk.chain).toHaveLength(50_000);
    expect(walk.chain.every(({ object }) => object.level === 1)).toBe(true);
  });

  test('dead ends at every step do not multiply', () => {
    const objects: LogObject[] = [];
    for (let first = 0; first < 2000; first += 2) {
      objects.push(logObject({ first, last: first }), logObject({ first: first + 1, last: first + 1 }));
      objects.push(logObject({ first, last: first + 1 }), logObject({ first: first + 1, last: first + 4, level: 1 }));
    }
    expect(walkGeneration(objects, after(-1)).end?.tx).toBeGreaterThanOrEqual(2000n);
  });
});

describe('where a generation begins', () => {
  const objects = [
    logObject({ first: 7, last: 9 }),
    logObject({ first: 5, last: 6, prev: 0 }),
    logObject({ first: 6, last: 6, prev: 0 }),
  ];

  test('behind its parent point', () => {
    expect(generationStart(generationDocument(2, { number: 1, at: position(41) }), objects)).toEqual(after(41));
  });
  test('without a parent at the smallest first whose prev is 0', () => {
    expect(generationStart(generationDocument(1), objects)).toEqual({ next: 5n, prev: 0 });
    expect(generationStart(generationDocument(1), objects.slice(0, 1))).toBeNull();
    expect(generationStart(generationDocument(1), [])).toBeNull();
  });
});
