/** Invariant: however often a download breaks, its bytes are exactly those of one version, each once; or it fails. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { VirtualClock } from '../../../test/support/virtual-clock.ts';
import { pattern } from '../contract/contract-check.ts';
import { MemoryReplicaClient } from '../memory/memory-replica-client.ts';
import { PreconditionFailedError, readBody, UnauthorizedError, UnavailableError } from '../replica-client.ts';
import { type Fault, FaultyReplicaClient } from './faulty.ts';
import { resumableGet } from './resumable-get.ts';

const SIZE = 300_000;
const content = pattern(SIZE);

async function setUp(faults: readonly Fault[]) {
  const clock = new VirtualClock();
  const memory = new MemoryReplicaClient();
  await memory.put('a', content);
  return { clock, memory, faulty: new FaultyReplicaClient(memory, { clock, faults }) };
}

test('any places of breaking, any range', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(SIZE), { maxLength: 6 }),
      fc.option(fc.tuple(fc.nat(SIZE - 1), fc.integer({ min: 1, max: SIZE }))),
      async (breaks, asked) => {
        const faults = breaks.map((after): Fault => ({ kind: 'break', operation: 'get', after }));
        const { clock, faulty } = await setUp(faults);
        const range = asked ? { start: asked[0], endExclusive: asked[0] + asked[1] } : undefined;
        const object = await resumableGet(faulty, 'a', { clock, ...(range ? { range } : {}) });
        const bytes = await readBody(object, SIZE);
        expect(Buffer.compare(bytes, content.subarray(range?.start ?? 0, range?.endExclusive ?? SIZE))).toBe(0);
        expect(object.size).toBe(SIZE);
      },
    ),
    { numRuns: 100 },
  );
});

describe('what ends it', () => {
  test('an object that was overwritten in between is never mixed', async () => {
    const { clock, memory, faulty } = await setUp([{ kind: 'break', operation: 'get', after: 100_000 }]);
    const object = await resumableGet(faulty, 'a', { clock });
    await memory.put('a', pattern(SIZE, 2));
    await expect(readBody(object, SIZE)).rejects.toThrow(PreconditionFailedError);
  });

  test('a refusal', async () => {
    const error = (): Error => new UnauthorizedError('no');
    const { clock, faulty } = await setUp([{ kind: 'break', operation: 'get', after: 10, error }]);
    await expect(readBody(await resumableGet(faulty, 'a', { clock, giveUpAfterMs: 1000 }), SIZE)).rejects.toThrow(
      UnauthorizedError,
    );
  });

  test('patience, counted from the last progress', async () => {
    const { clock, faulty } = await setUp([
      { kind: 'delay', operation: 'get', delayMs: 60_000 },
      { kind: 'break', operation: 'get', after: 70_000 },
      { kind: 'fail-before', operation: 'get', skip: 1, times: 1e9 },
    ]);
    const object = await resumableGet(faulty, 'a', { clock, giveUpAfterMs: 5000 });
    await expect(readBody(object, SIZE)).rejects.toThrow(UnavailableError);
    expect(clock.monotonic()).toBe(65_000);
  });

  test('leaving early, or not beginning at all', async () => {
    const { clock, faulty } = await setUp([]);
    const left = await resumableGet(faulty, 'a', { clock });
    for await (const _ of left.body) break;
    const unread = await resumableGet(faulty, 'a', { clock });
    await unread.body[Symbol.asyncIterator]().return?.();
    expect((await unread.body[Symbol.asyncIterator]().next()).done).toBe(true);
  });
});
