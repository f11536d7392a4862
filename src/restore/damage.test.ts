/**
 * Invariant: whatever one object of the store becomes (a flipped byte, cut short, longer, another object's content, gone, a
 * copy under a foreign name), a restore to a point ends with exactly the right commits, or says so and leaves nothing.
 *
 * STDB_TEST_DAMAGE: how many cases.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { buildPointStore, lastNotLater, type ModelCommit, type PointStore } from '../../test/support/point-stores.ts';
import { readRecordedLog } from '../../test/support/recorded-log.ts';
import { RestoreScene } from '../../test/support/restore-scene.ts';
import { Random } from '../../test/sim/random.ts';
import { CorruptionError, UnrecoverablePointError } from '../core/errors.ts';
import { micros } from '../core/types.ts';
import { parseSnapshotDirName } from '../spacetimedb/file-names.ts';
import type { PointRequest } from './point-request.ts';

const CASES = Number(process.env['STDB_TEST_DAMAGE'] ?? 240);
const CASES_OF_ONE_STORE = 60;

let scene: RestoreScene;
let scratch: RestoreScene;
beforeEach(async () => {
  scene = await RestoreScene.open();
  scratch = await RestoreScene.open();
});
afterEach(async () => {
  await scene[Symbol.asyncDispose]();
  await scratch[Symbol.asyncDispose]();
});

const KINDS = ['flip', 'flip', 'flip', 'cut', 'longer', 'swapped', 'missing', 'foreign'] as const;

/** Damages one object, and gives the way back. */
function damage(random: Random): { readonly what: string; readonly undo: () => void } {
  const { store } = scene.client;
  const keys = [...store.keys()].sort();
  const kind = random.pick(KINDS);
  const key = random.pick(keys);
  const other = random.pick(keys);
  const bytes = scene.bytesOf(key);
  const undo = (): void => void store.set(key, bytes);
  const what = `${kind} ${key}`;
  switch (kind) {
    case 'flip': {
      const flipped = Uint8Array.from(bytes);
      const at = random.int(0, bytes.byteLength - 1);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << random.int(0, 7));
      store.set(key, flipped);
      return { what: `${what} at ${at}`, undo };
    }
    case 'cut':
      store.set(key, bytes.slice(0, random.int(0, bytes.byteLength - 1)));
      return { what, undo };
    case 'longer':
      store.set(key, Buffer.concat([bytes, random.bytes(random.int(1, 40))]));
      return { what, undo };
    case 'swapped': {
      const before = scene.bytesOf(other);
      store.set(key, before);
      store.set(other, bytes);
      return {
        what: `${what} with ${other}`,
        undo: () => {
          undo();
          store.set(other, before);
        },
      };
    }
    case 'missing':
      store.objects.delete(key);
      return { what, undo };
    case 'foreign': {
      // Another level's name, for content that may be another object's.
      const foreign = key.includes('/log/') ? key.replace(/\/log\/\d\//, `/log/${random.int(3, 9)}/`) : `${key}.old`;
      store.set(foreign, scene.bytesOf(random.chance(0.5) ? key : other));
      return { what: `${what} as ${foreign}`, undo: () => void store.objects.delete(foreign) };
    }
  }
}

interface Case {
  readonly point: PointRequest | undefined;
  readonly expected: ModelCommit;
}

function pickCase(random: Random, line: readonly ModelCommit[]): Case {
  const commit = random.pick(line);
  if (random.chance(0.2)) return { point: undefined, expected: line.at(-1) as ModelCommit };
  if (random.chance(0.5) || commit.time === 0n) return { point: { kind: 'tx', tx: commit.last }, expected: commit };
  const time = micros(commit.time + BigInt(random.int(0, 2)));
  return { point: { kind: 'timestamp', time }, expected: lastNotLater(line, time) as ModelCommit };
}

/** What was written is the line up to the commit, from where its snapshot needs it. */
async function expectExactly(line: readonly ModelCommit[], { last }: ModelCommit, what: string): Promise<void> {
  const found = await readRecordedLog(scene.target);
  const expected = line.filter((commit) => commit.last <= last).slice(-found.length);
  const text = (commit: { first: bigint; bytes: Uint8Array }): string =>
    `${commit.first} ${Buffer.from(commit.bytes).toString('hex')}`;
  expect(found.map(text), what).toEqual(expected.map(text));
  expect(found.at(-1)?.last, what).toBe(last);
  const snapshots = (await readdir(join(scene.target, 'snapshots'))).map(parseSnapshotDirName);
  const begin = found[0]?.first ?? -1n;
  if (begin > 0n)
    expect(
      snapshots.some((tx) => tx !== null && tx >= begin && tx <= last),
      what,
    ).toBe(true);
  await scene.clear();
}

test('one damaged object: exactly right, or found', { timeout: 3_600_000 }, async () => {
  const outcomes = { right: 0, found: 0, loud: 0 };
  for (let count = 0; count < CASES; ) {
    const seed = Number(process.env['STDB_TEST_DAMAGE_SEED'] ?? 1) + count;
    const random = new Random(seed);
    scene.client.store.objects.clear();
    const scratchDir = join(scratch.root, `${count}`);
    const { lines }: PointStore = await buildPointStore({ client: scene.client, scratch: scratchDir, seed });
    const line = lines.at(-1) as readonly ModelCommit[];
    for (let turn = 0; turn < CASES_OF_ONE_STORE && count < CASES; turn += 1, count += 1) {
      const { point, expected } = pickCase(random, line);
      const { what, undo } = damage(random);
      const told = `seed ${seed}, turn ${turn}: ${what}`;
      try {
        const { warnings } = await scene.run({ point });
        await expectExactly(line, expected, told);
        outcomes.right += 1;
        if (warnings.length > 0) outcomes.loud += 1;
      } catch (error) {
        if (!(error instanceof CorruptionError || error instanceof UnrecoverablePointError)) {
          throw new Error(`${told}: ${String(error)}`, { cause: error });
        }
        await scene.expectNothing();
        outcomes.found += 1;
      }
      undo();
    }
  }
  // All of the three happen: otherwise the cases do not tell much.
  for (const [name, times] of Object.entries(outcomes)) expect(times, name).toBeGreaterThan(CASES / 100);
});
