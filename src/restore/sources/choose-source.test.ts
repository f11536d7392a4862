/**
 * Invariant: whatever several destinations hold, the chosen one reaches at least as far as each of the others in each
 * database, and holds what they hold as far as they go; where that is not so, none is chosen.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crc32cValue, micros, type Position, txOffset } from '../../core/types.ts';
import {
  chooseSource,
  comparisonName,
  type SourceChoice,
  type SourceFacts,
  type SourceLine,
  type Verdict,
} from './choose-source.ts';

/** History `branch` holds, at each offset, the commit of branch 0 before `from`, and its own from there on. */
interface Model {
  readonly begin: number;
  readonly end: number;
  readonly from: number;
  readonly branch: number;
  /** Which of its commits names tell. */
  readonly named: readonly boolean[];
}

const commitAt = ({ from, branch }: Model, tx: number): Position => ({
  tx: txOffset(BigInt(tx)),
  crc: crc32cValue(tx * 16 + (tx >= from ? branch : 0)),
});

function lineOf(model: Model): SourceLine {
  const known: Position[] = [];
  for (let tx = model.begin; tx <= model.end; tx += 1) {
    if (tx === model.end || model.named[tx % model.named.length]) known.push(commitAt(model, tx));
  }
  return { end: commitAt(model, model.end), known };
}

const model: fc.Arbitrary<Model> = fc
  .record({
    begin: fc.nat({ max: 3 }),
    length: fc.nat({ max: 8 }),
    from: fc.nat({ max: 12 }),
    branch: fc.nat({ max: 1 }),
    named: fc.array(fc.boolean(), { minLength: 1, maxLength: 4 }),
  })
  .map(({ begin, length, ...rest }) => ({ begin, end: begin + length, ...rest }));

type ModelSource = Readonly<Record<string, Model>>;

/** Answers every comparison as a store of these models would. */
function run(sources: readonly ModelSource[], imageTimes: readonly number[] = []): SourceChoice {
  const facts = sources.map(
    (databases, index): SourceFacts => ({
      url: `file:///${index}`,
      databases: new Map(Object.entries(databases).map(([name, one]) => [name, lineOf(one)])),
      imageTime: imageTimes[index] === undefined ? null : micros(BigInt(imageTimes[index])),
    }),
  );
  const verdicts = new Map<string, Verdict>();
  for (;;) {
    const choice = chooseSource(facts, verdicts);
    if (choice.kind !== 'compare') return choice;
    const { source, database, wanted } = choice.comparison;
    const there = sources[source]?.[database] as Model;
    expect(Number(wanted.tx)).toBeLessThanOrEqual(there.end);
    expect(verdicts.has(comparisonName(choice.comparison))).toBe(false);
    verdicts.set(comparisonName(choice.comparison), judge(there, wanted));
  }
}

function judge(there: Model, wanted: Position): Verdict {
  if (Number(wanted.tx) < there.begin) return 'beyond';
  return commitAt(there, Number(wanted.tx)).crc === wanted.crc ? 'same' : 'other';
}

const source: fc.Arbitrary<ModelSource> = fc
  .record({ '1': model, '2': model }, { requiredKeys: [] })
  .filter((databases) => Object.keys(databases).length > 0)
  .map((databases) => databases as ModelSource);

const reach = (of: ModelSource | undefined, database: string): number => of?.[database]?.end ?? -1;
const isAhead = (a: ModelSource, b: ModelSource): boolean =>
  ['1', '2'].every((database) => reach(a, database) >= reach(b, database));

test('the chosen one is ahead of all and agrees with all; otherwise there is a reason', () => {
  const seen = new Map<string, number>();
  fc.assert(
    fc.property(fc.array(source, { minLength: 1, maxLength: 4 }), (sources) => {
      const choice = run(sources);
      seen.set(choice.kind, (seen.get(choice.kind) ?? 0) + 1);
      const leaders = sources.filter((one) => sources.every((other) => isAhead(one, other)));
      if (choice.kind === 'crossed') {
        expect(leaders).toEqual([]);
        const [[a, b], [ofA, ofB]] = [choice.sources, choice.databases];
        expect(reach(sources[a], ofA)).toBeGreaterThan(reach(sources[b], ofA));
        expect(reach(sources[b], ofB)).toBeGreaterThan(reach(sources[a], ofB));
        return;
      }
      expect(leaders.length).toBeGreaterThan(0);
      if (choice.kind === 'disagree') {
        const [a, b] = choice.sources.map((index) => sources[index]?.[choice.database] as Model) as [Model, Model];
        const tx = Number(choice.tx);
        expect(commitAt(a, tx).crc).not.toBe(commitAt(b, tx).crc);
        return;
      }
      if (choice.kind !== 'chosen') throw new Error('a run answers every comparison');
      const chosen = sources[choice.source] as ModelSource;
      expect(leaders).toContain(chosen);
      for (const other of sources) {
        for (const [database, line] of Object.entries(other)) {
          const mine = chosen[database] as Model;
          if (line.end < mine.begin) continue;
          expect(commitAt(mine, line.end).crc).toBe(commitAt(line, line.end).crc);
        }
      }
    }),
    { numRuns: 2000 },
  );
  for (const kind of ['chosen', 'disagree', 'crossed']) expect(seen.get(kind) ?? 0, kind).toBeGreaterThan(20);
});

describe('by example', () => {
  const plain = (end: number, rest: Partial<Model> = {}): Model => ({
    begin: 0,
    end,
    from: 0,
    branch: 0,
    named: [false],
    ...rest,
  });

  test('one alone is taken, and the first of equals', () => {
    expect(run([{ '1': plain(5) }])).toEqual({ kind: 'chosen', source: 0 });
    expect(run([{ '1': plain(5) }, { '1': plain(5) }])).toEqual({ kind: 'chosen', source: 0 });
  });

  test('a longer one is taken although its names do not tell the other’s end', () => {
    expect(run([{ '1': plain(5) }, { '1': plain(9) }])).toEqual({ kind: 'chosen', source: 1 });
  });

  test('one that was left behind by a rollback does not agree', () => {
    const choice = run([{ '1': plain(5, { branch: 1, from: 3 }) }, { '1': plain(9) }]);
    expect(choice).toEqual({ kind: 'disagree', sources: [1, 0], database: '1', tx: 5n });
  });

  test('two of one length and different ends do not agree', () => {
    expect(run([{ '1': plain(5, { branch: 1 }) }, { '1': plain(5) }]).kind).toBe('disagree');
  });

  test('where the longer one begins behind the other’s end there is nothing to compare', () => {
    expect(run([{ '1': plain(5, { branch: 1 }) }, { '1': plain(9, { begin: 6 }) }])).toEqual({
      kind: 'chosen',
      source: 1,
    });
  });

  test('a database that only one holds counts', () => {
    expect(run([{ '1': plain(9) }, { '1': plain(9), '2': plain(0) }])).toEqual({ kind: 'chosen', source: 1 });
    expect(run([{ '1': plain(9) }, { '1': plain(8), '2': plain(0) }])).toEqual({
      kind: 'crossed',
      sources: [0, 1],
      databases: ['1', '2'],
    });
  });

  test('of equals the one with the later image is taken', () => {
    expect(run([{ '1': plain(5) }, { '1': plain(5) }, { '1': plain(5) }], [10, 30, 20])).toEqual({
      kind: 'chosen',
      source: 1,
    });
  });
});
