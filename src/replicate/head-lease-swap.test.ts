// Invariant: among any writers, with any answers lost or late, whoever was told to hold head.json held it then.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HeadScene } from '../../test/support/head-scene.ts';
import { LateClient } from '../../test/support/unruly-clients.ts';
import { PreconditionFailedError, UnavailableError } from '../replica/replica-client.ts';
import { readHead } from './head-lease-read.ts';
import { HeadPlace } from './head-lease-swap.ts';

const WRITERS = 3;

const step = fc.record({
  who: fc.nat({ max: WRITERS - 1 }),
  /** A take swaps whatever is there: who may is decided elsewhere. */
  what: fc.constantFrom('take', 'renew', 'release'),
  answer: fc.constantFrom('honest', 'honest', 'late'),
  /** Before this step what was late so far reaches the store. */
  arrive: fc.boolean(),
});

test('a told success is true, a told loss is final', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), async (steps) => {
      const client = new LateClient();
      const scene = new HeadScene(client);
      const places = new Map<number, HeadPlace>();
      let holdings = 0;
      const seen: unknown[] = [];
      // Once another one has it, a holding never comes back, whatever arrives late.
      const look = async (): Promise<void> => {
        const current = (await readHead(client))?.document.acquiredAt;
        if (seen.at(-1) === current) return;
        expect(seen).not.toContain(current);
        seen.push(current);
      };
      for (const { who, what, answer, arrive } of steps) {
        scene.clock.skip(1);
        await look();
        if (arrive) await client.arrive();
        await look();
        if (answer === 'late') client.delayNextPut();
        const place = places.get(who);
        const call = { signal: undefined };
        const session = `writer ${who}`;
        try {
          if (what === 'take') {
            places.delete(who);
            holdings += 1;
            const replaces = (await readHead(client))?.version ?? null;
            const document = scene.document({ session, generation: scene.generationNamed(holdings) });
            places.set(who, await HeadPlace.take(scene, document, { ...call, replaces, mode: 'exclusive' }));
          } else if (place !== undefined) {
            const document = { ...place.document, renewedAt: scene.clock.now(), released: what === 'release' };
            await (what === 'renew' ? place.renew(document, call) : place.replace(document, call));
          }
        } catch (error) {
          if (!(error instanceof PreconditionFailedError || error instanceof UnavailableError)) throw error;
          if (error instanceof PreconditionFailedError) {
            const found = await readHead(client);
            if (place !== undefined) expect(found?.document.acquiredAt).not.toBe(place.document.acquiredAt);
            places.delete(who);
          }
          continue;
        }
        const told = places.get(who);
        if (told === undefined || (what !== 'take' && place === undefined)) continue;
        expect((await readHead(client))?.document).toEqual(told.document);
      }
    }),
    { numRuns: 500 },
  );
});
