/**
 * Invariants: what may succeed later is tried until it does, the signal ends it, or patience does; what may not is
 * tried once; a conditional put that was won is never reported as lost because its answer was. Crash points: an answer
 * lost before and after the store acted.
 */
import { describe, expect, test } from 'vitest';
import { VirtualClock } from '../../../test/support/virtual-clock.ts';
import { replicaClientContract } from '../contract/replica-client-contract.ts';
import { MemoryReplicaClient } from '../memory/memory-replica-client.ts';
import {
  ObjectNotFoundError,
  PreconditionFailedError,
  readBody,
  type ReplicaClient,
  UnauthorizedError,
  UnavailableError,
} from '../replica-client.ts';
import { type Fault, FaultyReplicaClient } from './faulty.ts';
import { type RetryOptions, retryingClient } from './retrying.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text);

function setUp(faults: readonly Fault[], options: Partial<RetryOptions> = {}) {
  const clock = new VirtualClock();
  const memory = new MemoryReplicaClient();
  const faulty = new FaultyReplicaClient(memory, { clock, faults });
  const client = retryingClient(faulty, { clock, random: () => 0.5, ...options });
  return { clock, memory, faulty, client };
}

async function keysOf(client: ReplicaClient): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of client.list('')) keys.push(key);
  return keys;
}

describe('the wrapped client keeps the contract', () => {
  replicaClientContract({
    test,
    open: async () => retryingClient(new MemoryReplicaClient(), { clock: new VirtualClock(), giveUpAfterMs: 0 }),
  });
});

describe('the contract holds while every tenth call fails, and every tenth answer is lost', () => {
  let seed = 1;
  const random = (): number => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed / 2_147_483_647;
  };
  replicaClientContract({
    test,
    open: async () => {
      const clock = new VirtualClock();
      const faults: Fault[] = [
        { kind: 'fail-before', chance: 0.1, times: Number.POSITIVE_INFINITY },
        { kind: 'fail-after', chance: 0.1, times: Number.POSITIVE_INFINITY },
      ];
      return retryingClient(new FaultyReplicaClient(new MemoryReplicaClient(), { clock, random, faults }), { clock });
    },
  });
});

describe('trying again', () => {
  test('what passes is tried until it succeeds', async () => {
    const { client, faulty, memory } = setUp([{ kind: 'fail-before', operation: 'put', times: 7 }]);
    await client.put('a', bytes('x'));
    expect(faulty.struck).toBe(7);
    expect(memory.store.requests.put).toBe(1);
  });

  test.each([
    ['absence', () => new ObjectNotFoundError('no')],
    ['a refusal', () => new UnauthorizedError('no')],
    ['a failed condition', () => new PreconditionFailedError('no')],
    ['a bug', () => new TypeError('no')],
  ])('%s is not tried again', async (_, error) => {
    const { client, faulty } = setUp([{ kind: 'fail-before', error, times: 5 }]);
    await expect(client.put('a', bytes('x'), { ifAbsent: true })).rejects.toThrow('no');
    expect(faulty.struck).toBe(1);
  });

  test('a one-shot command gives up with the last error', async () => {
    const { client, clock, faulty } = setUp([{ kind: 'fail-before', times: 1e9 }], { giveUpAfterMs: 30_000 });
    await expect(client.head('a')).rejects.toThrow(UnavailableError);
    expect(clock.monotonic()).toBe(30_000);
    expect(faulty.struck).toBeGreaterThan(5);
  });

  test('a store that answers other calls has more patience, but not for ever', async () => {
    const { client, clock } = setUp([{ kind: 'fail-before', key: 'bad', times: 1e9 }], { giveUpAfterMs: 30_000 });
    await client.put('good', bytes('x'));
    let ended = false;
    const failing = client.head('bad').catch((error: unknown) => {
      ended = true;
      return error;
    });
    while (!ended) {
      await client.head('good');
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await failing).toBeInstanceOf(UnavailableError);
    expect(clock.monotonic()).toBeGreaterThanOrEqual(300_000);
  });

  test('a daemon goes on until it is told to stop', async () => {
    const controller = new AbortController();
    let failures = 0;
    const error = (): Error => {
      failures += 1;
      if (failures === 200) controller.abort(new Error('stop'));
      return new UnavailableError('no');
    };
    const { client, clock } = setUp([{ kind: 'fail-before', times: 1e9, error }]);
    await expect(client.get('a', { signal: controller.signal })).rejects.toThrow('stop');
    expect(failures).toBe(200);
    expect(clock.monotonic()).toBeGreaterThan(1_000_000);
  });

  test('a body that breaks goes on where it broke', async () => {
    const { client, memory } = setUp([{ kind: 'break', after: 3, operation: 'get', times: 3 }]);
    memory.store.set('a', bytes('0123456789'));
    expect(Buffer.from(await readBody(await client.get('a'), 100)).toString()).toBe('0123456789');
  });
});

describe('conditional puts whose answer was lost', () => {
  test('a creation that was won is a success', async () => {
    const { client, memory } = setUp([{ kind: 'fail-after', operation: 'put' }]);
    const { version } = await client.put('head.json', bytes('mine'), { ifAbsent: true });
    expect(version).toBe((await memory.head('head.json')).version);
  });

  test('a swap that was won is a success', async () => {
    const { client, memory } = setUp([{ kind: 'fail-after', operation: 'put', skip: 1 }]);
    const { version } = await client.put('head.json', bytes('one'));
    const swapped = await client.put('head.json', bytes('two'), { ifMatch: version });
    expect(swapped.version).toBe((await memory.head('head.json')).version);
  });

  test('a stream body is compared too', async () => {
    const { client } = setUp([{ kind: 'fail-after', operation: 'put' }]);
    const stream = {
      async *open() {
        yield bytes('mi');
        yield bytes('ne');
      },
    };
    await expect(client.put('a', stream, { ifAbsent: true })).resolves.toHaveProperty('version');
  });

  test.each(['other', 'oth'])('one that another writer won is lost: %s', async (others) => {
    const { client, memory } = setUp([{ kind: 'fail-before', operation: 'put' }]);
    await memory.put('head.json', bytes(others));
    await expect(client.put('head.json', bytes('mines'), { ifAbsent: true })).rejects.toThrow(PreconditionFailedError);
    expect(Buffer.from(memory.store.objects.get('head.json')?.bytes ?? []).toString()).toBe(others);
  });

  test('the look at the object is itself tried again', async () => {
    const { client } = setUp([
      { kind: 'fail-after', operation: 'put' },
      { kind: 'fail-before', operation: 'get', times: 3 },
    ]);
    await expect(client.put('head.json', bytes('mine'), { ifAbsent: true })).resolves.toHaveProperty('version');
  });

  test('a first answer is believed, even for equal bytes', async () => {
    const { client, memory } = setUp([]);
    await memory.put('head.json', bytes('same'));
    await expect(client.put('head.json', bytes('same'), { ifAbsent: true })).rejects.toThrow(PreconditionFailedError);
  });
});

describe('listings and deletes', () => {
  test('a listing that breaks goes on after the last key, none twice', async () => {
    const { client, memory } = setUp([
      { kind: 'break', operation: 'list', after: 3 },
      { kind: 'break', operation: 'list', after: 2 },
      { kind: 'fail-before', operation: 'list' },
    ]);
    const keys = Array.from({ length: 9 }, (_, i) => `a/${i}`);
    for (const key of keys) await memory.put(key, bytes('x'));
    expect(await keysOf(client)).toEqual(keys);
  });

  test('only keys that failed for a passing reason are deleted again', async () => {
    const clock = new VirtualClock();
    const asked: (readonly string[])[] = [];
    const partial = new MemoryReplicaClient();
    partial.delete = async (keys) => {
      asked.push(keys);
      if (asked.length > 1) return [];
      return [
        { key: 'b', error: new UnavailableError('later') },
        { key: 'c', error: new UnauthorizedError('never') },
      ];
    };
    const failures = await retryingClient(partial, { clock }).delete(['a', 'b', 'c']);
    expect(asked).toEqual([['a', 'b', 'c'], ['b']]);
    expect(failures.map(({ key }) => key)).toEqual(['c']);
  });
});
