// Invariant: a lease is handed over only for who is dead or silent, by a swap, and never into a dead writer's generation.
import { expect, test } from 'vitest';
import { HeadScene, POSITION } from '../../test/support/head-scene.ts';
import { DeafClient } from '../../test/support/unruly-clients.ts';
import { LeaseHeldError } from '../core/errors.ts';
import { type ProcessIdentity, readProcessIdentity } from '../core/process-identity.ts';
import {
  decodeGenerationDocument,
  encodeGenerationDocument,
  type GenerationDocument,
} from '../layout/generation-document.ts';
import { generationKey } from '../layout/keys.ts';
import type { MemoryReplicaClient } from '../replica/memory/memory-replica-client.ts';
import { type HeldState, releaseHead, type ReleaseOptions, type ReleaseOutcome } from './head-lease-release.ts';
import { readHead } from './head-lease-read.ts';

const self = await readProcessIdentity();
const DEAD: ProcessIdentity = { ...self, pid: 2 ** 22 + 1, startTime: '1' };
const ELSEWHERE: ProcessIdentity = { ...self, machineId: 'elsewhere', bootId: 'elsewhere' };

interface Held {
  readonly scene: HeadScene;
  readonly release: (change?: Partial<ReleaseOptions>) => Promise<ReleaseOutcome>;
}

/** A head held by `process` in a generation that has stored up to POSITION. */
async function heldBy(process: ProcessIdentity, client?: MemoryReplicaClient): Promise<Held> {
  const scene = new HeadScene(client);
  scene.clock.setForth(86_400_000);
  const name = scene.generationNamed(1);
  const generation: GenerationDocument = {
    generation: name,
    databaseIdentity: 'ab'.repeat(32),
    replicaId: 7n,
    createdAt: scene.clock.now(),
    reason: 'first',
    parent: null,
    writer: { owner: 'game-0', host: 'here', version: '0.0.0' },
  };
  await scene.client.put(generationKey(name), encodeGenerationDocument(generation));
  await scene.take({ change: { process } });
  const read = async (): Promise<HeldState> => ({
    head: await readHead(scene.client),
    generation,
    parent: { generation: name, position: POSITION },
    position: POSITION,
  });
  const { clock, log } = scene;
  const options: ReleaseOptions = { client: scene.client, kind: 'database', read, self, version: '9.9.9', clock, log };
  return { scene, release: (change = {}) => releaseHead({ ...options, ...change }) };
}

test.each([
  ['proven dead', DEAD, 'dead', 0],
  ['silent for a whole ttl', ELSEWHERE, 'expired', 60_000],
] as const)('of a process that is %s: an empty child generation, released', async (_, process, because, waits) => {
  const { scene, release } = await heldBy(process);
  const outcome = await release();
  expect(outcome).toMatchObject({ kind: 'released', because, position: POSITION });
  expect(scene.clock.monotonic()).toBe(waits);
  const head = await scene.head();
  expect(head).toMatchObject({ owner: 'game-0', released: true, position: POSITION, ttlMs: 60_000 });
  expect(head.generation).not.toBe(scene.generationNamed(1));
  const key = generationKey(head.generation);
  const bytes = scene.memory.store.objects.get(key)?.bytes ?? new Uint8Array();
  expect(decodeGenerationDocument(bytes, { key })).toMatchObject({
    reason: 'takeover',
    databaseIdentity: 'ab'.repeat(32),
    replicaId: 7n,
    parent: { generation: scene.generationNamed(1), position: { tx: POSITION.tx, crc: POSITION.crc } },
  });
  expect(await release()).toMatchObject({ kind: 'released-before' });
});

test('of a process that lives on this machine: refused at once, though it may be silent', async () => {
  const { scene, release } = await heldBy(self);
  const before = await scene.head();
  await expect(release()).rejects.toThrow(/it lives/);
  expect(scene.clock.monotonic()).toBe(0);
  expect(await scene.head()).toEqual(before);
});

test('of one that renews while it is watched: refused', async () => {
  const { scene, release } = await heldBy(ELSEWHERE);
  const sleep = scene.clock.sleep.bind(scene.clock);
  scene.clock.sleep = async (ms, options) => {
    await sleep(ms, options);
    await scene.overwrite({ renewedAt: scene.clock.now() });
  };
  await expect(release()).rejects.toThrow(LeaseHeldError);
  expect(await scene.head()).toMatchObject({ released: false, generation: scene.generationNamed(1) });
});

test('somebody who takes the head in the last moment keeps it', async () => {
  const { scene, release } = await heldBy(DEAD);
  const put = scene.memory.put.bind(scene.memory);
  scene.memory.put = async (key, body, options) => {
    scene.memory.put = put;
    await scene.overwrite({ session: 'quicker', process: self, generation: scene.generationNamed(2) });
    return put(key, body, options);
  };
  await expect(release()).rejects.toThrow(/it lives/);
  expect(await scene.head()).toMatchObject({ session: 'quicker', released: false });
});

test('in a store without conditions there is nothing to hand over', async () => {
  const { scene, release } = await heldBy(DEAD, new DeafClient());
  const before = await scene.head();
  expect(await release()).toMatchObject({ kind: 'advisory', because: 'dead' });
  expect(await scene.head()).toEqual(before);
});

test('where nobody ever held it', async () => {
  const { release } = await heldBy(DEAD);
  const read = async (): Promise<HeldState> => ({ head: null, generation: null, parent: null, position: null });
  expect(await release({ read })).toEqual({ kind: 'unheld' });
});
