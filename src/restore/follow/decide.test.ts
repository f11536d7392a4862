/**
 * Invariant: a standby applies only what follows its own last commit on the head's line, by offset and checksum; where
 * the line holds other commits it stops; where what comes next is not there it says from where on the line goes on.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crc32cValue, micros, type Position, type TxOffset, txOffset } from '../../core/types.ts';
import type { GenerationDocument, GenerationReason } from '../../layout/generation-document.ts';
import { type GenerationName, type LogObject, logObjectKey, makeGenerationName } from '../../layout/keys.ts';
import { lineOf } from '../../layout/line.ts';
import { decideFollow, type FollowDecision, type FollowInput } from './decide.ts';

const first = makeGenerationName(1, '00000001');
const second = makeGenerationName(2, '00000002');

/** The checksum that history `h` has at `tx`; histories are one up to where they part. */
const crcAt = (tx: number, history = 0): Position['crc'] => crc32cValue(tx < 0 ? 0 : 1000 * (history + 1) + tx);
const at = (tx: number, history = 0): Position => ({ tx: txOffset(tx), crc: crcAt(tx, history) });

interface Wanted {
  readonly generation?: GenerationName;
  readonly level?: number;
  readonly history?: number;
  /** History of the commit before. */
  readonly before?: number;
}

function object(from: number, to: number, wanted: Wanted = {}): LogObject {
  const { generation = first, level = 0, history = 0, before = history } = wanted;
  const name = {
    generation,
    level,
    segment: txOffset(0),
    first: txOffset(from),
    last: txOffset(to),
    time: micros(0n),
    prev: crcAt(from - 1, before),
    crc: crcAt(to, history),
  };
  return { ...name, key: logObjectKey(name), size: 1 };
}

function document(generation: GenerationName, parent: Position | null, reason: GenerationReason): GenerationDocument {
  return {
    generation,
    databaseIdentity: null,
    replicaId: null,
    createdAt: micros(0n),
    reason,
    parent: parent && { generation: first, position: parent },
    writer: { owner: 'o', host: 'h', version: '0' },
  };
}

interface Case {
  readonly position: Position;
  readonly objects: readonly LogObject[];
  /** Where the second generation branches off; absent: there is none. */
  readonly parent?: Position;
  readonly reason?: GenerationReason;
  readonly localEnds?: readonly (readonly [number, Position['crc'] | null])[];
}

function decide({ position, objects, parent, reason = 'takeover', localEnds = [] }: Case): FollowDecision {
  const documents = new Map([[first, document(first, null, 'first')]]);
  if (parent !== undefined) documents.set(second, document(second, parent, reason));
  const grouped = new Map<GenerationName, LogObject[]>();
  for (const one of objects) grouped.set(one.generation, [...(grouped.get(one.generation) ?? []), one]);
  const ends: FollowInput['localEnds'] = new Map(
    localEnds.map(([tx, crc]): [TxOffset, Position['crc'] | null] => [txOffset(tx), crc]),
  );
  const line = lineOf(parent === undefined ? first : second, documents);
  return decideFollow({ line, documents, objects: grouped, position, localEnds: ends });
}

/** `20-29`, `20-29 cut 24`, `10-29 after 14`. */
function piecesOf(decision: FollowDecision): string[] {
  if (decision.kind !== 'apply') return [decision.kind];
  return decision.pieces.map(({ object: { first: from, last }, cut, after }) =>
    [`${from}-${last}`, ...(cut ? [`cut ${cut.tx}`] : []), ...(after ? [`after ${after.tx}`] : [])].join(' '),
  );
}

const inSecond: Wanted = { generation: second };

describe('within one generation', () => {
  test.each<[what: string, input: Case, expected: string[]]>([
    ['nothing new', { position: at(19), objects: [object(0, 9), object(10, 19)] }, ['wait']],
    ['the next ones', { position: at(9), objects: [object(0, 9), object(10, 19), object(20, 29)] }, ['10-19', '20-29']],
    [
      'one longer object instead',
      { position: at(9), objects: [object(10, 19), object(10, 29, { level: 1 })] },
      ['10-29'],
    ],
    [
      'only a longer one around the position',
      { position: at(14), objects: [object(10, 29, { level: 1 })] },
      ['10-29 after 14'],
    ],
    [
      'the position ends within it',
      { position: at(14), objects: [object(0, 14), object(10, 29, { level: 1 })] },
      ['10-29 after 14'],
    ],
    ['the next one is missing', { position: at(9), objects: [object(0, 9), object(20, 29)] }, ['gap']],
    ['all up to the position is gone', { position: at(9), objects: [object(10, 19)] }, ['10-19']],
    ['another commit at the position', { position: at(9, 7), objects: [object(0, 9)] }, ['fork']],
    ['another commit before what follows', { position: at(9, 7), objects: [object(10, 19)] }, ['fork']],
  ])('%s', (_, input, expected) => {
    expect(piecesOf(decide(input))).toEqual(expected);
  });

  test('where the line goes on behind what is missing', () => {
    expect(decide({ position: at(9), objects: [object(30, 39), object(20, 29)] })).toEqual({
      kind: 'gap',
      resumes: 20n,
    });
  });

  test('a line that ends before the position is compared with the own log there', () => {
    const behind: Case = { position: at(25), objects: [object(0, 9), object(10, 19)] };
    expect(decide(behind)).toEqual({ kind: 'compare', tx: 19n });
    expect(decide({ ...behind, localEnds: [[19, crcAt(19)]] })).toEqual({ kind: 'wait', behind: true });
    expect(decide({ ...behind, localEnds: [[19, crcAt(19, 7)]] }).kind).toBe('fork');
    expect(decide({ ...behind, localEnds: [[19, null]] }).kind).toBe('fork');
  });
});

describe('over to another generation', () => {
  test.each<[what: string, input: Case, expected: string[]]>([
    ['branched right here', { position: at(19), parent: at(19), objects: [object(20, 29, inSecond)] }, ['20-29']],
    ['branched here, nothing yet', { position: at(19), parent: at(19), objects: [object(10, 19)] }, ['wait']],
    [
      'branched further on, within an object',
      { position: at(9), parent: at(14), objects: [object(10, 19), object(15, 29, inSecond)] },
      ['10-19 cut 14', '15-29'],
    ],
    [
      'what a stale writer stored beyond the parent point is not taken',
      { position: at(9), parent: at(19), objects: [object(10, 19), object(20, 24), object(20, 29, inSecond)] },
      ['10-19', '20-29'],
    ],
    ['its beginning is missing', { position: at(19), parent: at(19), objects: [object(25, 29, inSecond)] }, ['gap']],
    [
      'another commit at the parent point',
      { position: at(19, 7), parent: at(19), objects: [object(20, 29, inSecond)] },
      ['fork'],
    ],
    [
      'branched before the position, with other commits',
      { position: at(19), parent: at(9), objects: [object(10, 19, { ...inSecond, history: 7, before: 0 })] },
      ['fork'],
    ],
    [
      'branched before the position, with the same commits: a stale writer was listened to',
      { position: at(19), parent: at(9), objects: [object(10, 19, inSecond), object(20, 29, inSecond)] },
      ['20-29'],
    ],
    [
      'branched before the position, which its object covers: its content decides',
      { position: at(15), parent: at(9), objects: [object(10, 29, { ...inSecond, history: 7, before: 0 })] },
      ['10-29 after 15'],
    ],
  ])('%s', (_, input, expected) => {
    expect(piecesOf(decide(input))).toEqual(expected);
  });

  test('a fork names the last common point', () => {
    const objects = [object(10, 19, { ...inSecond, history: 7, before: 0 })];
    expect(decide({ position: at(19), parent: at(9), objects })).toEqual({ kind: 'fork', common: at(9) });
  });

  test('branched before the position, nothing yet: only what was rolled back is known to be another history', () => {
    const behind: Case = { position: at(19), parent: at(9), objects: [object(0, 9), object(10, 19)] };
    expect(decide(behind)).toEqual({ kind: 'compare', tx: 9n });
    const known: Case = { ...behind, localEnds: [[9, crcAt(9)]] };
    expect(decide(known)).toEqual({ kind: 'wait', behind: true });
    expect(decide({ ...known, reason: 'rolled-back' })).toEqual({ kind: 'fork', common: at(9) });
  });

  test('the new generation ends before the position, with a commit that the standby does not have', () => {
    const objects = [object(10, 14, { ...inSecond, history: 7, before: 0 })];
    const input: Case = { position: at(19), parent: at(9), objects, localEnds: [[14, crcAt(14)]] };
    expect(decide(input)).toEqual({ kind: 'fork', common: at(9) });
  });
});

describe('every line that is cut into objects somehow', () => {
  const cuts = fc
    .uniqueArray(fc.integer({ min: 1, max: 99 }), { maxLength: 20 })
    .map((all) => all.toSorted((a, b) => a - b));
  const objectsFrom = (ends: readonly number[], level: number): LogObject[] =>
    [...ends, 100].map((end, index) => object(ends[index - 1] ?? 0, end - 1, { level }));

  test('what is applied leads from the position to the end, whatever is missing, or there is a gap', () => {
    fc.assert(
      fc.property(cuts, cuts, fc.integer({ min: 0, max: 98 }), fc.func(fc.boolean()), (low, high, tx, isThere) => {
        const objects = [...objectsFrom(low, 0), ...objectsFrom(high, 1)].filter(({ key }) => isThere(key));
        let position = at(tx);
        for (let step = 0; ; step += 1) {
          expect(step).toBeLessThan(50);
          const decision = decide({ position, objects });
          if (decision.kind !== 'apply') {
            const covers = objects.some(({ first: a, last }) => a <= position.tx + 1n && last > position.tx);
            expect(covers).toBe(false);
            const isMore = objects.some(({ first: a }) => a > position.tx);
            expect(decision.kind === 'gap').toBe(isMore);
            return;
          }
          for (const { object: one, after } of decision.pieces) {
            if (after === null) expect([one.first, one.prev]).toEqual([position.tx + 1n, position.crc]);
            else expect([after, one.first <= after.tx && after.tx < one.last]).toEqual([position, true]);
            position = { tx: one.last, crc: one.crc };
          }
        }
      }),
    );
  });
});
