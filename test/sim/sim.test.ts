// Invariant: one seed is one run, event by event; and a broken promise is found, so that silence means something.
import { expect, onTestFinished, test } from 'vitest';
import { HEAD_KEY, parseKey } from '../../src/layout/keys.ts';
import { RestorePlace } from './restored.ts';
import { type Outcome, simulate } from './simulation.ts';
import type { Bucket } from './sim-store.ts';

const ACTIONS = 40;

function openPlace(): RestorePlace {
  const place = new RestorePlace();
  onTestFinished(() => place[Symbol.dispose]());
  return place;
}

test('a seed replays exactly: every event, every object, at the same virtual time', async () => {
  const place = openPlace();
  for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
    const outcomes: Outcome[] = [];
    for (const _ of [1, 2]) outcomes.push(await simulate({ seed, actions: ACTIONS, place }));
    expect(outcomes[1]).toEqual(outcomes[0]);
    expect(outcomes[0]?.happened).toBeGreaterThan(100);
  }
});

test('two seeds are two runs', async () => {
  const place = openPlace();
  const one = await simulate({ seed: 1, actions: ACTIONS, place });
  const other = await simulate({ seed: 2, actions: ACTIONS, place });
  expect(other.traceHash).not.toBe(one.traceHash);
});

/** Its first write of the head was done and never answered; another process took over before it asked again. */
test('a start that never learned that it held the head may begin anew behind the one that replaced it', async () => {
  using place = new RestorePlace();
  const { failure } = await simulate({ seed: 2_002_066, actions: 25, place });
  expect(failure).toBeNull();
});

/** Every store of a run has the defect; each must be found within so many seeds. */
const DEFECTS: readonly { readonly name: string; readonly seeds: number; readonly plant: (bucket: Bucket) => void }[] =
  [
    {
      name: 'a log object is acknowledged and forgotten',
      seeds: 5,
      plant: (bucket) => {
        let puts = 0;
        bucket.drops = (key) => {
          if (parseKey(key)?.kind === 'log') puts += 1;
          return puts === 3 && parseKey(key)?.kind === 'log';
        };
      },
    },
    {
      name: 'a pack is acknowledged and forgotten',
      seeds: 20,
      plant: (bucket) => {
        bucket.drops = (key) => parseKey(key)?.kind === 'pack';
      },
    },
    {
      name: 'a lease that never fences: conditions on the head are ignored',
      seeds: 60,
      plant: (bucket) => {
        bucket.ignoresConditions = (key) => key === HEAD_KEY;
      },
    },
    {
      name: 'one byte of a log object is another one',
      seeds: 5,
      plant: (bucket) => {
        bucket.corrupts = (key) => parseKey(key)?.kind === 'log';
      },
    },
  ];

test.each(DEFECTS)('a planted defect is found: $name', async ({ seeds, plant }) => {
  const place = openPlace();
  for (let seed = 1; seed <= seeds; seed += 1) {
    const outcome = await simulate({ seed, actions: ACTIONS, place, prepare: ({ bucket }) => plant(bucket) });
    if (outcome.failure === null) continue;
    const { failure } = await simulate({ seed, actions: ACTIONS, place });
    expect(failure, 'without the defect').toBeNull();
    return;
  }
  expect.unreachable(`not found in ${seeds} seeds`);
});
