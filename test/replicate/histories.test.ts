// Invariant: whatever a server and an operator do to the directory between two starts, and however the writer before
// ended, afterwards the default line is exactly what the local log holds, and every line before is as it was.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SourceDivergedError } from '../../src/core/errors.ts';
import { commitNames, ModelScene } from '../support/model-scene.ts';

type Event =
  | { readonly kind: 'append'; readonly commits: number; readonly rotate: boolean; readonly count: number }
  | { readonly kind: 'cut-back'; readonly part: number }
  | { readonly kind: 'snapshot' | 'prune' | 'compress' | 'reset' | 'kill' | 'remove-head' | 'store' }
  | { readonly kind: 'restore'; readonly which: number };

const event: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      commits: fc.integer({ min: 1, max: 12 }),
      rotate: fc.boolean(),
      count: fc.constantFrom(1, 1, 3),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('cut-back' as const), part: fc.double({ min: 0, max: 1, noNaN: true }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('restore' as const), which: fc.nat({ max: 9 }) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('store' as const) }) },
  {
    weight: 7,
    arbitrary: fc.record({
      kind: fc.constantFrom('snapshot', 'snapshot', 'prune', 'compress', 'reset', 'kill', 'kill', 'remove-head'),
    }),
  },
);

class History {
  readonly #model: ModelScene;
  /** What each generation's line held when it was last the head's. */
  readonly #lines = new Map<string, readonly string[]>();
  #snapshots: bigint[] = [];

  constructor(model: ModelScene) {
    this.#model = model;
  }

  async happens(what: Event): Promise<void> {
    const { database, scene } = this.#model;
    const last = await database.lastTx();
    switch (what.kind) {
      case 'append':
        return database.append(what.commits, what);
      case 'cut-back': {
        const log = await database.log();
        if (log.length < 2) return;
        const to = log[Math.floor(what.part * (log.length - 1))]?.last ?? last;
        await database.cutBack(to);
        this.#snapshots = this.#snapshots.filter((tx) => tx <= to);
        return;
      }
      case 'snapshot':
        if (last >= 0n) this.#snapshots.push(await database.snapshot());
        return;
      case 'prune': {
        const newest = this.#snapshots.at(-1);
        if (newest !== undefined) await database.prune(newest);
        return;
      }
      case 'compress':
        return database.compress();
      case 'reset':
        await database.remove();
        this.#snapshots = [];
        return database.append(4);
      case 'kill':
        if ((await scene.keys('head.json')).length > 0) await scene.killHolder();
        return;
      case 'remove-head':
        await scene.client.delete(['head.json']);
        return;
      case 'restore':
        return this.#restores(what.which);
      case 'store':
        return this.#stores();
    }
  }

  async #restores(which: number): Promise<void> {
    const names = [...this.#lines.keys()];
    const generation = names[which % Math.max(1, names.length)];
    if (generation === undefined) return;
    const { directory, snapshot } = await this.#model.restore({ generation });
    this.#snapshots = snapshot === null ? [] : [snapshot];
    await this.#model.database.replaceBy(directory, { snapshots: this.#snapshots });
  }

  async #stores(): Promise<void> {
    const { scene } = this.#model;
    if ((await this.#model.database.lastTx()) < 0n) return;
    try {
      await scene.runOnce();
    } catch (error) {
      // A log above 0 whose snapshots were lost with the end of it cannot be restored, and is not begun.
      if (!(error instanceof SourceDivergedError)) throw error;
      expect(error.message).toContain('no complete snapshot');
      return;
    }
    const { log } = await this.#model.expectLineIsLocal();
    this.#lines.set((await scene.generation()).generation, commitNames(log));
  }

  /** Each line that was ever the head's still gives what it gave, whatever its start: a newer snapshot may begin later. */
  async expectAllKept(): Promise<void> {
    for (const [generation, before] of this.#lines) {
      const now = commitNames((await this.#model.restore({ generation })).log);
      expect({ generation, log: now.slice(-before.length) }).toEqual({ generation, log: before.slice(-now.length) });
    }
  }
}

const RUNS = Number(process.env['STDB_TEST_HISTORIES'] ?? 25);

test(
  `${RUNS} random histories`,
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(event, { minLength: 6, maxLength: 18 }), fc.nat(), async (events, seed) => {
        await using model = await ModelScene.open({ seed });
        const history = new History(model);
        await history.happens({ kind: 'append', commits: 5, rotate: false, count: 1 });
        for (const one of events) await history.happens(one);
        await history.happens({ kind: 'store' });
        await history.expectAllKept();
      }),
      { numRuns: RUNS },
    );
  },
  RUNS * 8_000,
);
