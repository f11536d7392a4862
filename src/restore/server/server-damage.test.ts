/**
 * Invariant: whatever one object of a server's backup has become, gone, cut, flipped, exchanged for another one, a restore
 * ends with exactly the server that was stored, or with 14 or 15 and nothing. STDB_TEST_DAMAGE_RUNS sets how many cases.
 */
import { rm } from 'node:fs/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readTree } from '../../../test/support/recorded-database.ts';
import { RestoreScene } from '../../../test/support/restore-scene.ts';
import { ServerStoreBuilder } from '../../../test/support/server-store-builder.ts';
import { vectorDirectory } from '../../../test/vectors/vectors.ts';
import { ByteBudget } from '../../core/byte-budget.ts';
import { systemClock } from '../../core/clock.ts';
import { EXIT, ReplicateError } from '../../core/errors.ts';
import { silentLog } from '../../core/log.ts';
import { prefixedClient } from '../../replica/wrap/prefixed.ts';
import { restoreServer } from './restore-server.ts';

const RUNS = Number(process.env['STDB_TEST_DAMAGE_RUNS'] ?? '25');

let scene: RestoreScene;
let keys: readonly string[];
beforeAll(async () => {
  scene = await RestoreScene.open();
  const builder = new ServerStoreBuilder(scene.client);
  await builder.putFormat();
  const generation = await builder.putGeneration(1);
  await builder.putReplica(1n, vectorDirectory('v2-batched/v1'));
  await builder.putReplica(3n, vectorDirectory('v2-batched/v0'));
  const files = { 'metadata.toml': { content: 'version' }, 'control-db/db': { content: 'pages'.repeat(50) } };
  const rest = { directories: ['control-db'], programs: ['a module'], replicas: [1n, 3n] };
  await builder.putImage(generation, { time: 1_000_000n, files, ...rest });
  await builder.putHead(generation);
  keys = [...scene.client.store.objects.keys()].sort();
});
afterAll(() => scene[Symbol.asyncDispose]());

async function restored(): Promise<ReadonlyMap<string, Buffer>> {
  await restoreServer({
    client: scene.client,
    clientAt: (prefix) => prefixedClient(scene.client, prefix),
    target: scene.target,
    budget: new ByteBudget(16 * 1024 * 1024),
    clock: systemClock,
    log: silentLog,
    signal: new AbortController().signal,
  });
  const tree = await readTree(scene.target);
  await rm(scene.target, { recursive: true });
  return tree;
}

type Damage = (bytes: Uint8Array, at: number, other: Uint8Array) => Uint8Array | null;

const DAMAGES: Readonly<Record<string, Damage>> = {
  gone: () => null,
  cut: (bytes, at) => bytes.subarray(0, at),
  flipped: (bytes, at) => bytes.map((byte, index) => (index === at ? byte ^ 0x10 : byte)),
  exchanged: (_bytes, _at, other) => other,
  empty: () => new Uint8Array(0),
};

const LOG = /^replicas\/(\d)\/clog\//;

/** Without a snapshot more of the log comes back: what is common must be equal, and each must have its end. */
function expectSame(tree: ReadonlyMap<string, Buffer>, whole: ReadonlyMap<string, Buffer>): void {
  for (const [path, bytes] of tree) {
    const expected = whole.get(path);
    if (expected !== undefined) expect(bytes.equals(expected), path).toBe(true);
    else expect(path).toMatch(/^replicas\/\d\/(?:clog|snapshots)\//);
  }
  for (const path of whole.keys()) if (!/\/snapshots\//.test(path)) expect(tree.has(path), path).toBe(true);
  expect([...tree.keys()].filter((path) => LOG.test(path)).length).toBeGreaterThan(1);
}

test('one damaged object is done without, or found', async () => {
  const whole = await restored();
  const outcomes = new Map<string, number>();
  const count = (outcome: string): void => void outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  await fc.assert(
    fc.asyncProperty(
      fc.nat(),
      fc.nat(),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      fc.constantFrom(...Object.keys(DAMAGES)),
      async (pick, swap, where, how) => {
        const key = keys[pick % keys.length] as string;
        const bytes = scene.bytesOf(key);
        const other = scene.bytesOf(keys[swap % keys.length] as string);
        const made = (DAMAGES[how] as Damage)(bytes, Math.floor(bytes.byteLength * where), other);
        if (made === null) scene.client.store.objects.delete(key);
        else scene.client.store.set(key, made);
        try {
          expectSame(await restored(), whole);
          count('restored');
        } catch (error) {
          if (!(error instanceof ReplicateError)) throw error;
          expect([EXIT.corruption, EXIT.unrecoverablePoint], `${how} ${key}: ${error.message}`).toContain(
            error.exitCode,
          );
          await scene.expectNothing();
          count('refused');
        } finally {
          scene.client.store.set(key, bytes);
        }
      },
    ),
    { numRuns: RUNS },
  );
  expect(outcomes.get('restored') ?? 0).toBeGreaterThan(0);
  expect(outcomes.get('refused') ?? 0).toBeGreaterThan(0);
});
