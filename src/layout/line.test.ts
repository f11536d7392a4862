/**
 * Invariant: the parts of a line join without a gap and without an overlap, each parent older than its child; what
 * contradicts itself is refused. Over a line, a walk gives exactly the commits of its history.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CorruptionError, UsageError } from '../core/errors.ts';
import { txOffset } from '../core/types.ts';
import type { GenerationDocument } from './generation-document.ts';
import type { GenerationName, LogObject } from './keys.ts';
import { chooseGeneration, lineOf, requireGeneration } from './line.ts';
import {
  crcAt,
  generationDocument,
  generationNamed,
  logObject,
  position,
  shapes,
} from '../../test/support/log-objects.ts';
import { walkLine } from './walk-line.ts';

const documentsOf = (...documents: GenerationDocument[]): ReadonlyMap<GenerationName, GenerationDocument> =>
  new Map(documents.map((document) => [document.generation, document]));
const describeLine = (number: number, documents: ReadonlyMap<GenerationName, GenerationDocument>): string[] =>
  lineOf(generationNamed(number), documents).map(
    ({ generation, until }) => `${Number(generation.slice(0, 8))}${until ? ` until ${until.tx}` : ''}`,
  );

describe('lines', () => {
  test('one generation, and branches of branches', () => {
    const documents = documentsOf(
      generationDocument(1),
      generationDocument(2, { number: 1, at: position(100) }),
      generationDocument(3, { number: 2, at: position(150) }),
      generationDocument(4, { number: 2, at: position(120) }),
    );
    expect(describeLine(1, documents)).toEqual(['1']);
    expect(describeLine(3, documents)).toEqual(['1 until 100', '2 until 150', '3']);
    expect(describeLine(4, documents)).toEqual(['1 until 100', '2 until 120', '4']);
  });

  test("a grandchild that branches at or below its parent's own start", () => {
    const documents = documentsOf(
      generationDocument(1),
      generationDocument(2, { number: 1, at: position(100) }),
      generationDocument(3, { number: 2, at: position(50) }),
      generationDocument(4, { number: 2, at: position(100) }),
      generationDocument(5, { number: 4, at: position(100) }),
      generationDocument(6, { number: 2, at: position(100, 1) }),
    );
    expect(describeLine(3, documents)).toEqual(['1 until 50', '3']);
    expect(describeLine(4, documents)).toEqual(['1 until 100', '2 until 100', '4']);
    // Those that branched right where their parents did have no commits, but may hold snapshots.
    expect(describeLine(5, documents)).toEqual(['1 until 100', '2 until 100', '4 until 100', '5']);
    expect(() => describeLine(6, documents)).toThrow(CorruptionError);
  });

  test('a missing document, and a parent that is not older', () => {
    expect(() => describeLine(2, documentsOf(generationDocument(2, { number: 1, at: position(1) })))).toThrow(
      /is missing/,
    );
    const loop = documentsOf(
      generationDocument(1, { number: 2, at: position(1) }),
      generationDocument(2, { number: 1, at: position(1) }),
    );
    expect(() => describeLine(2, loop)).toThrow(/not older/);
  });
});

describe('which generation', () => {
  const listed = [
    { generation: generationNamed(1), holdsData: true },
    { generation: generationNamed(2), holdsData: true },
    { generation: generationNamed(3), holdsData: false },
  ];
  test("the head's, else the highest that holds something, else none", () => {
    expect(chooseGeneration({ generation: generationNamed(1) }, listed)).toBe(generationNamed(1));
    expect(chooseGeneration(null, listed.toReversed())).toBe(generationNamed(2));
    expect(chooseGeneration(null, listed.slice(2))).toBeNull();
  });
  test('by name or number; unknown and ambiguous ones are wrong usage', () => {
    expect(requireGeneration('00000002-1a2b3c4d', listed)).toBe(generationNamed(2));
    for (const number of ['2', '02', '00000002']) expect(requireGeneration(number, listed)).toBe(generationNamed(2));
    for (const wrong of ['4', '', '0', '-1', '2-1a2b3c4d', '00000002-00000000', '1e0', '000000002']) {
      expect(() => requireGeneration(wrong, listed), wrong).toThrow(UsageError);
    }
    const twin = { generation: '00000002-00000000' as GenerationName, holdsData: true };
    expect(() => requireGeneration('2', [...listed, twin])).toThrow(/several/);
    expect(requireGeneration(twin.generation, [...listed, twin])).toBe(twin.generation);
  });
});

/** Generations 1 to 3; each holds its own history from where it begins, one object for each pair of transactions. */
interface Story {
  readonly branchedAt: readonly number[];
  readonly ends: readonly number[];
}
function tell({ branchedAt, ends }: Story) {
  const documents: GenerationDocument[] = [];
  const objects = new Map<GenerationName, LogObject[]>();
  // History of each transaction along the line that is being written.
  const history: number[] = [];
  const crc = (tx: number): number => (tx < 0 ? 0 : crcAt(tx, history[tx]));
  ends.forEach((length, index) => {
    const at = index === 0 ? -1 : Math.min(branchedAt[index - 1] ?? 0, history.length - 1);
    const parentPoint = { tx: txOffset(Math.max(0, at)), crc: crc(at) as ReturnType<typeof position>['crc'] };
    documents.push(generationDocument(index + 1, index === 0 ? undefined : { number: index, at: parentPoint }));
    history.length = at + 1;
    for (let tx = at + 1; tx <= at + length; tx++) history[tx] = index;
    const mine: LogObject[] = [];
    for (let first = at + 1; first <= at + length; first += 2) {
      const last = Math.min(first + 1, at + length);
      mine.push(logObject({ generation: index + 1, first, last, prev: crc(first - 1), crc: crc(last) }));
    }
    objects.set(generationNamed(index + 1), mine);
  });
  return { documents: documentsOf(...documents), objects, history };
}

describe('walking a line', () => {
  const story = fc.record({
    branchedAt: fc.array(fc.nat({ max: 12 }), { minLength: 2, maxLength: 2 }),
    ends: fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 3 }),
  });

  test('gives every transaction once, of the history that was written last, from any point on', () => {
    fc.assert(
      fc.property(story, fc.option(fc.nat({ max: 20 }), { nil: undefined }), (told, from) => {
        const { documents, objects, history } = tell(told);
        const newest = generationNamed(told.ends.length);
        const asked = from === undefined ? undefined : txOffset(from);
        const walk = walkLine(lineOf(newest, documents), { objects, documents, from: asked });
        expect(walk.hole).toBeNull();
        const got: number[] = [];
        for (const { object, from: begin, cut } of walk.steps) {
          const first = Number(begin ?? object.first);
          for (let tx = first; tx <= Number(cut?.tx ?? object.last); tx++) {
            expect(history[tx]).toBe(Number(object.generation.slice(0, 8)) - 1);
            got.push(tx);
          }
        }
        const all = history.map((_, tx) => tx).filter((tx) => tx >= (from ?? 0));
        expect(got.filter((tx) => tx >= (from ?? 0))).toEqual(all);
        // At most the one object that holds it lies before the asked point.
        expect(got.length - all.length).toBeLessThanOrEqual(1);
        const last = history.length - 1;
        if (all.length > 0) expect(walk.end).toMatchObject({ tx: BigInt(last), crc: crcAt(last, history[last]) });
        else expect(walk.end).toBeNull();
      }),
      { numRuns: 500 },
    );
  });

  test('a hole ends it, and names generation and place', () => {
    const { documents, objects } = tell({ branchedAt: [5], ends: [8, 4] });
    const parts = lineOf(generationNamed(2), documents);
    const without = (shape: string) =>
      new Map([...objects].map(([name, list]) => [name, list.filter((object) => shapes([object])[0] !== shape)]));
    const middle = walkLine(parts, { objects: without('2-3@0'), documents });
    expect(middle).toMatchObject({
      hole: { generation: generationNamed(1), after: { tx: 1n }, until: { tx: 5n } },
      end: { tx: 1n },
    });
    expect(walkLine(parts, { objects: without('0-1@0'), documents }).hole).toMatchObject({ after: null });
    const own = walkLine(parts, { objects: without('8-9@0'), documents });
    expect(own).toMatchObject({ hole: null, end: { tx: 7n } });
    expect(walkLine(parts, { objects: without('0-1@0'), documents, from: txOffset(2) })).toMatchObject({
      hole: null,
      end: { tx: 9n },
    });
  });

  test('times never fall, also where a cut object does not tell its own', () => {
    const documents = documentsOf(generationDocument(1), generationDocument(2, { number: 1, at: position(2) }));
    const objects = new Map([
      [generationNamed(1), [logObject({ first: 0, last: 1, time: 500 }), logObject({ first: 2, last: 3, time: 900 })]],
    ]);
    const walk = walkLine(lineOf(generationNamed(2), documents), { objects, documents });
    expect(walk.end).toMatchObject({ tx: 2n, time: 500n, timeIsExact: false });

    // The part that is cut holds one object only: the time is that of the part before it.
    const three = documentsOf(
      generationDocument(1),
      generationDocument(2, { number: 1, at: position(1) }),
      generationDocument(3, { number: 2, at: position(2) }),
    );
    const apart = new Map([
      [generationNamed(1), [logObject({ first: 0, last: 1, time: 500 })]],
      [generationNamed(2), [logObject({ first: 2, last: 3, time: 900, generation: 2 })]],
    ]);
    const longer = walkLine(lineOf(generationNamed(3), three), { objects: apart, documents: three });
    expect(longer.end).toMatchObject({ tx: 2n, time: 500n, timeIsExact: false });
  });

  test('what no walk reaches is told', () => {
    const documents = documentsOf(generationDocument(1));
    const objects = new Map([
      [generationNamed(1), [logObject({ first: 0, last: 1 }), logObject({ first: 5, last: 6 })]],
    ]);
    const walk = walkLine(lineOf(generationNamed(1), documents), { objects, documents });
    expect(shapes(walk.unreached)).toEqual(['5-6@0']);
  });
});
