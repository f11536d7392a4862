// Invariant: what a store does with conditions is found out without changing a byte of what is there.
import { expect, test } from 'vitest';
import { ReplicatorScene } from '../../test/support/replicator-scene.ts';
import { DeafClient } from '../../test/support/unruly-clients.ts';
import { systemClock } from '../core/clock.ts';
import { ConfigurationError, UnsupportedFormatError } from '../core/errors.ts';
import { encodeFormatDocument } from '../layout/format-document.ts';
import { encodeDocument } from '../layout/json-document.ts';
import { FORMAT_KEY } from '../layout/keys.ts';
import { MemoryReplicaClient } from '../replica/memory/memory-replica-client.ts';
import { FaultyReplicaClient, type FaultKind } from '../replica/wrap/faulty.ts';
import { retryingClient } from '../replica/wrap/retrying.ts';
import { findLeaseMode } from './lease-mode.ts';

const DATABASE = Buffer.from(encodeFormatDocument({ kind: 'database' }));

const stored = (client: MemoryReplicaClient): Buffer =>
  Buffer.from(client.store.objects.get(FORMAT_KEY)?.bytes ?? new Uint8Array());

const total = ({ store }: MemoryReplicaClient): number => Object.values(store.requests).reduce((a, b) => a + b);

/** A store in which a backup was begun, and the version of its head. */
async function begun<T extends MemoryReplicaClient>(client: T): Promise<{ client: T; head: string }> {
  await client.put(FORMAT_KEY, DATABASE);
  const { version } = await client.put('head.json', Buffer.from('{}'));
  client.store.resetCounters();
  return { client, head: version };
}

function deaf(manners: Partial<Pick<DeafClient, 'ifAbsent' | 'ifMatch'>> = {}): DeafClient {
  return Object.assign(new DeafClient(), manners);
}

test('an honest store: created with three requests, asked again with two, with a known head with one', async () => {
  const client = new MemoryReplicaClient();
  expect(await findLeaseMode(client, { kind: 'database' })).toBe('exclusive');
  expect(total(client)).toBe(3);
  expect(stored(client)).toEqual(DATABASE);
  client.store.resetCounters();
  expect(await findLeaseMode(client, { kind: 'database' })).toBe('exclusive');
  expect(total(client)).toBe(2);
  const { head } = await begun(client);
  expect(await findLeaseMode(client, { kind: 'database', head })).toBe('exclusive');
  expect(total(client)).toBe(1);
  expect(stored(client)).toEqual(DATABASE);
});

test.each([
  ['ignores all conditions', deaf, 'advisory', 'advisory'],
  ['refuses to hear of any', () => deaf({ ifAbsent: 'refuses', ifMatch: 'refuses' }), 'advisory', 'advisory'],
  ['knows no create-only', () => deaf({ ifMatch: 'honours' }), 'advisory', 'exclusive'],
  ['knows no swap', () => deaf({ ifAbsent: 'honours' }), 'exclusive', 'advisory'],
] as const)('a store that %s', async (_, make, first, later) => {
  const fresh = make();
  expect(await findLeaseMode(fresh, { kind: 'database' })).toBe(first);
  expect(stored(fresh)).toEqual(DATABASE);
  const { client, head } = await begun(make());
  expect(await findLeaseMode(client, { kind: 'database', head })).toBe(later);
  expect(stored(client)).toEqual(DATABASE);
});

test.each(['none', 'create-only'] as const)('a client that declares %s is believed', async (conditional) => {
  const client = new MemoryReplicaClient({ conditional });
  for (const head of [null, 'any']) {
    expect(await findLeaseMode(client, { kind: 'database', head })).toBe('advisory');
    expect(stored(client)).toEqual(DATABASE);
  }
});

test('a backup of the other kind, or of a newer format, is refused and left as it is, whatever the store', async () => {
  const newer = Buffer.from(encodeDocument({ format: 2, kind: 'database' }));
  for (const client of [new MemoryReplicaClient(), deaf(), new MemoryReplicaClient({ conditional: 'none' })]) {
    for (const [bytes, kind, error] of [
      [Buffer.from(encodeFormatDocument({ kind: 'server' })), 'database', ConfigurationError],
      [DATABASE, 'server', ConfigurationError],
      [newer, 'database', UnsupportedFormatError],
    ] as const) {
      await client.put(FORMAT_KEY, bytes);
      await expect(findLeaseMode(client, { kind })).rejects.toThrow(error);
      expect(stored(client)).toEqual(bytes);
    }
  }
});

test('bytes of another writer of this format are put back as they are', async () => {
  const client = deaf();
  const bytes = Buffer.from(encodeDocument({ format: 1, kind: 'database', more: true }));
  await client.put(FORMAT_KEY, bytes);
  expect(await findLeaseMode(client, { kind: 'database' })).toBe('advisory');
  expect(stored(client)).toEqual(bytes);
});

test('of two that start at once on an empty store both find it honest', async () => {
  const client = new MemoryReplicaClient();
  const modes = [0, 1].map(() => findLeaseMode(client, { kind: 'database' }));
  expect(await Promise.all(modes)).toEqual(['exclusive', 'exclusive']);
});

test.each<FaultKind['kind']>(['fail-before', 'fail-after'])(
  'an honest store stays honest when answers are lost: %s',
  async (kind) => {
    for (const isBegun of [false, true]) {
      for (let skip = 0; skip < 3; skip += 1) {
        const { client, head } = isBegun
          ? await begun(new MemoryReplicaClient())
          : { client: new MemoryReplicaClient(), head: null };
        const faulty = new FaultyReplicaClient(client, {
          clock: systemClock,
          faults: [{ kind, operation: 'put', skip } as FaultKind],
        });
        const patient = retryingClient(faulty, { clock: systemClock });
        expect(await findLeaseMode(patient, { kind: 'database', head }), `put ${skip}`).toBe('exclusive');
      }
    }
  },
);

test('what a start asks: four requests to continue, six into a new generation; and one to release', async () => {
  await using scene = await ReplicatorScene.open();
  await scene.runOnce();
  const { store } = scene.client;
  store.resetCounters();
  await scene.runOnce();
  expect(store.requests).toEqual({ get: 2, list: 1, put: 1 + 1, head: 0, delete: 0 });
  await scene.killHolder();
  store.resetCounters();
  await scene.runOnce();
  // And then one to look for the newest snapshot of the line.
  expect(store.requests).toEqual({ get: 2 + 1, list: 1, put: 3 + 1, head: 0, delete: 0 });
});
