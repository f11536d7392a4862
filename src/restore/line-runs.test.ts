/**
 * Invariant: the runs of a line are exactly the points that some way leads to, from offset 0 or from a snapshot, however
 * its objects overlap; and each run's own steps lead over all of it.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { crc32cValue, micros, type TxOffset, txOffset } from '../core/types.ts';
import type { GenerationDocument } from '../layout/generation-document.ts';
import type { GenerationName, LogObject } from '../layout/keys.ts';
import type { ListedManifest } from '../layout/listing.ts';
import type { LinePart } from '../layout/line.ts';
import { findRuns, type FindRunsOptions, type LineRun } from './line-runs.ts';
import type { ManifestFacts } from './plan-types.ts';

const END = 20;
const RUNS = 3_000;
const PARENT = '00000001-00000001' as GenerationName;
const CHILD = '00000002-00000002' as GenerationName;

/** Of the line's commit that ends with `tx`. */
const crcAt = (tx: number): number => tx + 1000;
/** What a parent went on with behind the point where its child branched off. */
const otherCrcAt = (tx: number): number => tx + 5000;

interface Model {
  readonly objects: readonly { readonly first: number; readonly length: number; readonly isChild: boolean }[];
  readonly snapshots: readonly { readonly tx: number; readonly hasCommit: boolean }[];
  /** Null: one generation. */
  readonly branch: number | null;
}

const model: fc.Arbitrary<Model> = fc.record({
  objects: fc.array(fc.record({ first: fc.nat(END), length: fc.integer({ min: 1, max: 7 }), isChild: fc.boolean() }), {
    minLength: 1,
    maxLength: 14,
  }),
  snapshots: fc.uniqueArray(fc.record({ tx: fc.nat(END), hasCommit: fc.boolean() }), {
    maxLength: 4,
    selector: ({ tx }) => tx,
  }),
  branch: fc.option(fc.integer({ min: 2, max: END - 2 }), { nil: null }),
});

/** `last` is cut to the line: what of an object belongs to it. */
interface Stretch {
  readonly first: number;
  readonly last: number;
}

function stretches({ objects, branch }: Model): Stretch[] {
  return objects.flatMap(({ first, length, isChild }) => {
    const last = first + length - 1;
    if (branch === null) return [{ first, last }];
    if (isChild) return first > branch ? [{ first, last }] : [];
    return first <= branch ? [{ first, last: Math.min(last, branch) }] : [];
  });
}

/** All points that are reached, by trying every way. */
function reached(one: Model): Set<number> {
  const all = stretches(one);
  const points = new Set<number>();
  const entered = new Set<Stretch>();
  const enter = (from: number, wanted: (stretch: Stretch) => boolean): void => {
    for (const stretch of all) {
      if (!wanted(stretch)) continue;
      for (let tx = Math.max(from, stretch.first); tx <= stretch.last; tx += 1) points.add(tx);
      if (entered.has(stretch)) continue;
      entered.add(stretch);
      enter(0, ({ first }) => first === stretch.last + 1);
    }
  };
  enter(0, ({ first }) => first === 0);
  for (const { tx, hasCommit } of one.snapshots) {
    if (hasCommit) points.add(tx);
    enter(tx, ({ first, last }) => first <= tx && tx <= last);
    enter(tx, ({ first }) => first === tx + 1);
  }
  return points;
}

function toOptions({ objects, snapshots, branch }: Model): FindRunsOptions {
  const isLine = (tx: number, isChild: boolean): boolean => branch === null || isChild || tx <= branch;
  const crc = (tx: number, isChild: boolean): number => (isLine(tx, isChild) ? crcAt(tx) : otherCrcAt(tx));
  const named = new Map<GenerationName, LogObject[]>([
    [PARENT, []],
    [CHILD, []],
  ]);
  for (const [index, { first, length, isChild }] of objects.entries()) {
    const isOfChild = branch !== null && isChild;
    if (isOfChild && first <= branch) continue;
    const last = first + length - 1;
    const generation = isOfChild ? CHILD : PARENT;
    named.get(generation)?.push({
      generation,
      level: 0,
      segment: txOffset(0n),
      first: txOffset(BigInt(first)),
      last: txOffset(BigInt(last)),
      time: micros(BigInt(last + 1)),
      prev: crc32cValue(first === 0 ? 0 : crc(first - 1, isOfChild)),
      crc: crc32cValue(crc(last, isOfChild)),
      key: `${index}`,
      size: 1,
    });
  }
  const position = branch === null ? null : { tx: txOffset(BigInt(branch)), crc: crc32cValue(crcAt(branch)) };
  const parent: LinePart = { generation: PARENT, until: position };
  const documents = new Map([[PARENT, { generation: PARENT, parent: null } as GenerationDocument]]);
  if (position !== null) {
    documents.set(CHILD, { generation: CHILD, parent: { generation: PARENT, position } } as GenerationDocument);
  }
  const listed = new Map<GenerationName, ListedManifest[]>([
    [PARENT, []],
    [CHILD, []],
  ]);
  const manifests = new Map<string, ManifestFacts>();
  for (const { tx, hasCommit } of snapshots) {
    const generation = branch !== null && tx > branch ? CHILD : PARENT;
    const at = txOffset(BigInt(tx));
    listed.get(generation)?.push({ generation, tx: at, key: `m${tx}`, size: 1 });
    const commit = hasCommit ? { first: at, position: { tx: at, crc: crc32cValue(crcAt(tx)) }, tx: at } : null;
    manifests.set(`m${tx}`, { header: {}, commit } as ManifestFacts);
  }
  const line = branch === null ? [parent] : [parent, { generation: CHILD, until: null }];
  return { line, objects: named, documents, listed, manifests };
}

const pointsOf = (runs: readonly LineRun[]): number[] =>
  runs.flatMap(({ first, last }) => Array.from({ length: Number(last - first) + 1 }, (_, at) => Number(first) + at));

/** Its steps join, from its first point to its last; or its snapshot alone is all of it. */
function expectLeads({ first, last, commitFromManifest, steps, snapshot }: LineRun): void {
  let next: TxOffset | null = null;
  for (const { object, cut } of steps) {
    if (next !== null) expect(object.first).toBe(next);
    next = txOffset((cut?.tx ?? object.last) + 1n);
  }
  const begin = steps[0]?.object.first;
  if (next !== null) expect(next).toBe(last + 1n);
  if (commitFromManifest) expect([snapshot?.tx, begin ?? last + 1n]).toEqual([first, first + 1n]);
  else
    expect(begin !== undefined && begin <= first && (steps[0]?.cut?.tx ?? steps[0]?.object.last ?? -1n) >= first).toBe(
      true,
    );
}

test('runs are all that can be reached, ascend, and do not overlap', () => {
  let trimmed = 0;
  fc.assert(
    fc.property(model, (one) => {
      const runs = findRuns(toOptions(one));
      expect(pointsOf(runs)).toEqual([...reached(one)].sort((a, b) => a - b));
      for (const run of runs) expectLeads(run);
      trimmed += runs.filter(({ first, snapshot }) => snapshot !== null && first > snapshot.tx + 1n).length;
    }),
    { numRuns: RUNS },
  );
  // Otherwise nothing that does not nest was among them.
  expect(trimmed).toBeGreaterThan(0);
});

test('a snapshot within a run leads further than the run does, by an object that overlaps its end', () => {
  const objects = [
    { first: 0, length: 5, isChild: false },
    { first: 5, length: 4, isChild: false },
    { first: 7, length: 6, isChild: false },
  ];
  const runs = findRuns(toOptions({ objects, snapshots: [{ tx: 7, hasCommit: true }], branch: null }));
  expect(runs.map(({ first, last, snapshot }) => [first, last, snapshot?.tx ?? null])).toEqual([
    [0n, 8n, null],
    [9n, 12n, 7n],
  ]);
  expect(runs[1]?.steps).toMatchObject([{ from: 9n, object: { first: 7n, last: 12n } }]);
});
