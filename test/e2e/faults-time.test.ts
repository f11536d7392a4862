/**
 * Invariant: a clock that is set back and forth changes nothing of what is stored, of the lag or of the lease: names hold
 * the server's times alone.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect } from 'vitest';
import { silentLog } from '../../src/core/log.ts';
import { systemClock } from '../../src/core/clock.ts';
import { destinationOf } from '../../src/daemon/destination.ts';
import { decodeHeadDocument, type HeadDocument } from '../../src/layout/head-document.ts';
import { parseKey } from '../../src/layout/keys.ts';
import { readBody, type ReplicaClient } from '../../src/replica/replica-client.ts';
import { faultyS3 } from '../support/faulty-s3.ts';
import { Random } from '../sim/random.ts';
import { ReplicatorScene } from '../support/replicator-scene.ts';
import { jumpingClock } from '../support/jumping-clock.ts';

const HOUR_MS = 3_600_000;

const s3 = await faultyS3();

interface Names {
  /** All that the names of log objects say, but for the generation's random part. */
  readonly log: readonly string[];
  readonly manifests: number;
}

async function namesIn(client: ReplicaClient): Promise<Names> {
  const log: string[] = [];
  let manifests = 0;
  for await (const { key } of client.list('generations/')) {
    const parsed = parseKey(key);
    if (parsed?.kind === 'manifest') manifests += 1;
    if (parsed?.kind !== 'log') continue;
    const { segment, first, last, time, prev, crc } = parsed.name;
    log.push([segment, first, last, time, prev, crc].join(' '));
  }
  return { log, manifests };
}

async function headIn(client: ReplicaClient): Promise<HeadDocument> {
  return decodeHeadDocument(await readBody(await client.get('head.json'), 65_536));
}

const seeded = (): (() => number) => new Random(42).next;

/** A database, and a store over a bad line that is tried again as the program does it. */
async function open(): Promise<{ scene: ReplicatorScene; client: ReplicaClient } & AsyncDisposable> {
  const disposables = new AsyncDisposableStack();
  const scene = disposables.use(await ReplicatorScene.open());
  const store = disposables.use(await s3.open());
  const far = disposables.use(await store.client('proxy'));
  const { client } = destinationOf(far, { giveUpAfterMs: null, clock: systemClock, log: silentLog });
  return { scene, client, [Symbol.asyncDispose]: () => disposables.disposeAsync() };
}

describe.concurrent('a clock that jumps by an hour, back and forth', () => {
  s3.test('one pass stores what it would have stored', async () => {
    await using steady = await open();
    await steady.scene.runOnce({ client: steady.client });
    await using jumping = await open();
    const clock = jumpingClock({ random: seeded(), jumpMs: HOUR_MS });
    await jumping.scene.runOnce({ client: jumping.client, clock });
    const names = await namesIn(jumping.client);
    expect(names).toEqual(await namesIn(steady.client));
    expect(names.manifests).toBeGreaterThan(0);
  });

  s3.test('a service keeps its lease, its lag and its generation', async () => {
    await using opened = await open();
    const { scene, client } = opened;
    const clock = jumpingClock({ random: seeded(), jumpMs: HOUR_MS });
    // A short lease: renewed again and again, by times that go back.
    const writer = await scene.replicator({ client, clock, once: false, leaseTtlMs: 20, intervalMs: 5 });
    const ended = writer.run(new AbortController().signal);
    const lags: number[] = [];
    for (let looks = 0; looks < 50 || writer.status().stored?.tx !== 299n; looks += 1) {
      lags.push(writer.status().lagSeconds);
      await delay(10);
    }
    writer.drain();
    await ended;
    expect(Math.min(...lags)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...lags)).toBeLessThan(600);
    const before = await headIn(client);
    expect(before).toMatchObject({ released: true, position: { tx: 299n } });
    await scene.runOnce({ client, clock });
    const { generation, position } = await headIn(client);
    expect({ generation, position }).toEqual({ generation: before.generation, position: before.position });
  });
});
