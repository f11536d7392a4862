// Invariant: however often the store fails, answers get lost, and the writer is killed or told to end, the head's line
// holds every commit, each once, as the server wrote it, and every manifest of it names packs that are there.
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ReplicatorScene } from '../../test/support/replicator-scene.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import type { Position } from '../core/types.ts';
import { decodeGenerationDocument, type GenerationDocument } from '../layout/generation-document.ts';
import { type GenerationName, type LogObject, packKey, parseKey } from '../layout/keys.ts';
import type { LinePart } from '../layout/line.ts';
import { decodeLogObject } from '../layout/log-object.ts';
import { decodeManifest } from '../layout/manifest-stream.ts';
import { walkLine } from '../layout/walk-line.ts';
import { readBody } from '../replica/replica-client.ts';
import { type Fault, FaultyReplicaClient } from '../replica/wrap/faulty.ts';
import { retryingClient } from '../replica/wrap/retrying.ts';

const NEWEST_SEGMENT = ['clog', '00000000000000000147.stdb.log'] as const;
const HEADER_BYTES = 10;

interface Life {
  /** Bytes that the server appends meanwhile. */
  readonly grows: number;
  readonly ms: number;
  readonly killed: boolean;
  readonly faults: number;
  readonly seed: number;
}

const life: fc.Arbitrary<Life> = fc.record({
  grows: fc.integer({ min: 0, max: 9_000 }),
  ms: fc.integer({ min: 0, max: 60 }),
  killed: fc.boolean(),
  faults: fc.constantFrom(0, 0.2, 0.6),
  seed: fc.nat(),
});

/** Backs off for a moment only. */
const hastyClock: Clock = { ...systemClock, sleep: (ms, options) => systemClock.sleep(Math.min(ms, 3), options) };

function faultyClient(scene: ReplicatorScene, { faults: chance, seed }: Life) {
  let state = seed >>> 0;
  const random = (): number => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
  const kinds: Fault[] = [
    { kind: 'fail-before', chance, times: 1e9 },
    { kind: 'fail-after', chance, times: 1e9, operation: 'put' },
  ];
  const faults = chance === 0 ? [] : kinds;
  return retryingClient(new FaultyReplicaClient(scene.client, { clock: systemClock, random, faults }), {
    clock: hastyClock,
  });
}

async function live(scene: ReplicatorScene, one: Life, growth: Uint8Array): Promise<void> {
  const writer = await scene.replicator({ once: false, client: faultyClient(scene, one), intervalMs: 5 });
  const stop = new AbortController();
  const ended = writer.run(stop.signal).then(
    () => 'ended',
    (error: Error) => error.message,
  );
  for (let at = 0; at < growth.byteLength; at += 3_000) {
    await appendFile(scene.at(...NEWEST_SEGMENT), growth.subarray(at, at + 3_000));
    await systemClock.sleep(one.ms / 4);
  }
  await systemClock.sleep(one.ms);
  if (one.killed) stop.abort(new Error('killed'));
  else writer.drain();
  expect(await ended).toBe(one.killed ? 'killed' : 'ended');
  const hasHead = (await scene.keys('head.json')).length === 1;
  if (hasHead && !(await scene.head()).released) await scene.killHolder();
}

async function readLine(scene: ReplicatorScene) {
  const documents = new Map<GenerationName, GenerationDocument>();
  const objects = new Map<GenerationName, LogObject[]>();
  for await (const { key, size } of scene.client.list('generations/')) {
    const parsed = parseKey(key);
    if (parsed?.kind === 'generation') {
      const bytes = await readBody(await scene.client.get(key), 65_536);
      documents.set(parsed.generation, decodeGenerationDocument(bytes, { key }));
    }
    if (parsed?.kind !== 'log') continue;
    const { generation } = parsed.name;
    objects.set(generation, [...(objects.get(generation) ?? []), { ...parsed.name, key, size }]);
  }
  const parts: LinePart[] = [];
  let until: Position | null = null;
  for (let name: GenerationName | null = (await scene.head()).generation; name !== null; ) {
    parts.unshift({ generation: name, until });
    const parent: GenerationDocument['parent'] = documents.get(name)?.parent ?? null;
    until = parent?.position ?? null;
    name = parent?.generation ?? null;
  }
  return { parts, walk: walkLine(parts, { objects, documents }) };
}

test('lives and deaths of writers leave one whole line', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(life, { minLength: 2, maxLength: 6 }), async (lives) => {
      await using scene = await ReplicatorScene.open();
      const whole = await readFile(scene.at(...NEWEST_SEGMENT));
      let at = 5_000;
      await writeFile(scene.at(...NEWEST_SEGMENT), whole.subarray(0, at));
      for (const one of lives) {
        await live(scene, one, whole.subarray(at, at + one.grows));
        at = Math.min(whole.byteLength, at + one.grows);
      }
      await appendFile(scene.at(...NEWEST_SEGMENT), whole.subarray(at));
      await scene.runOnce();

      const { parts, walk } = await readLine(scene);
      expect(walk.hole).toBeNull();
      expect(walk.end?.tx).toBe(299n);
      const stored: Uint8Array[] = [whole.subarray(0, HEADER_BYTES)];
      for (const { object, cut } of walk.steps) {
        // The histories are one: a child goes on where an object of its parent ends.
        expect(cut).toBeNull();
        if (object.segment !== 147n) continue;
        const frames: Uint8Array[] = [];
        const { body } = await scene.client.get(object.key);
        for await (const frame of decodeLogObject(body, object)) frames.push(frame);
        stored.push(Buffer.concat(frames).subarray(HEADER_BYTES));
      }
      expect(Buffer.concat(stored).equals(whole)).toBe(true);

      const manifests = (await scene.manifests()).filter((key) =>
        parts.some(({ generation }) => key.includes(generation)),
      );
      expect(manifests.filter((key) => key.includes('/00000000000000000180/'))).toHaveLength(1);
      const packs = new Set(await scene.keys('packs/'));
      for (const key of manifests) {
        const { body, size } = await scene.client.get(key);
        await using manifest = await decodeManifest(body, { key, size });
        for await (const { pack } of manifest.packs) expect(packs).toContain(packKey(pack));
      }
    }),
    { numRuns: 12 },
  );
}, 60_000);
