/**
 * Invariant: a destination that ends earlier is believed only where what it does not hold cannot change the answer; which
 * one is taken is said, and where none can, the furthest's own refusal is the answer.
 */
import { describe, expect, test } from 'vitest';
import { CorruptionError, UnrecoverablePointError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { silentLog } from '../core/log.ts';
import { crc32cValue, micros, type TxOffset, txOffset } from '../core/types.ts';
import { MemoryReplicaClient } from '../replica/memory/memory-replica-client.ts';
import { type ReplicaClient, UnavailableError } from '../replica/replica-client.ts';
import type { PointRequest, ResolvedPoint } from '../restore/point-request.ts';
import { makeReport } from '../restore/restore-report.ts';
import type { Asked } from './choose-destination.ts';
import type { RestoreCommandReport } from './restore-command.ts';
import { restoreFromRanked } from './restore-from-ranked.ts';

const tx = (value: number): TxOffset => txOffset(BigInt(value));
const position = (end: number) => ({ tx: tx(end), crc: crc32cValue(end) });
const TX: PointRequest = { kind: 'tx', tx: tx(5) };
const TIME: PointRequest = { kind: 'timestamp', time: micros(5n) };
const CALL: PointRequest = { kind: 'before-reducer', reducer: 'wipe' };

function destination(end: number): Asked {
  const client = new MemoryReplicaClient();
  const line = { end: position(end), known: [position(end)] };
  return { client, kind: 'database', facts: { url: client.url, databases: new Map([['', line]]), imageTime: null } };
}

function planned(point: PointRequest, { hasNext }: { hasNext: boolean }): RestoreCommandReport {
  const next = { first: tx(6), last: tx(6), crc: crc32cValue(6), time: micros(6n), reducer: null };
  const resolved = { request: point, target: { ...position(5), time: micros(5n) }, commit: null };
  const found = { ...resolved, next: hasNext ? next : null };
  const facts = { outcome: 'restored', fetchedBytes: 0, durationMs: 0, warnings: [], point: found } as const;
  return { kind: 'database', source: 'memory:', ...makeReport(null, facts) };
}

/** What each destination answers, and what was asked of which. */
async function run(
  answers: readonly (RestoreCommandReport | Error)[],
  { ends, point, dryRun = false }: { ends: readonly number[]; point?: PointRequest; dryRun?: boolean },
) {
  const all = ends.map(destination);
  const [furthest, ...others] = all as [Asked, ...Asked[]];
  const asked: string[] = [];
  const said: string[] = [];
  const log: Log = { ...silentLog, warn: (message) => void said.push(message) };
  const restore = (client: ReplicaClient, options: { readonly dryRun: boolean }) => {
    const index = all.findIndex((one) => one.client === client);
    asked.push(`${index}${options.dryRun ? ' plan' : ''}`);
    const answer = answers[index] as RestoreCommandReport | Error;
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
  };
  const outcome = await restoreFromRanked({ furthest, others }, { point, dryRun, log, restore }).then(
    () => 'restored',
    (error: unknown) => error,
  );
  return { outcome, asked, said };
}

const GONE = new UnrecoverablePointError('the point lies before the first one');
const DAMAGED = new CorruptionError('log objects are missing there');

test('the furthest is taken where it holds the point', async () => {
  const { outcome, asked, said } = await run([planned(TX, { hasNext: true }), GONE], { ends: [9, 7], point: TX });
  expect({ outcome, asked, said }).toEqual({ outcome: 'restored', asked: ['0'], said: [] });
});

describe('another one is taken, aloud', () => {
  test.each([GONE, DAMAGED])('a transaction is the same in each: %s', async (refused) => {
    const { outcome, asked, said } = await run([refused, GONE, planned(TX, { hasNext: false })], {
      ends: [9, 8, 7],
      point: TX,
    });
    expect(outcome).toBe('restored');
    expect(asked).toEqual(['0', '1 plan', '2 plan', '2']);
    expect(said.at(-1)).toMatch(/same history/);
  });

  test('a time, where the commit behind it was seen', async () => {
    const seen = await run([GONE, planned(TIME, { hasNext: true })], { ends: [9, 7], point: TIME });
    expect(seen.outcome).toBe('restored');
  });

  test('whatever was asked, where it ends with the furthest', async () => {
    for (const point of [TIME, CALL]) {
      const { outcome } = await run([DAMAGED, planned(point, { hasNext: false })], { ends: [9, 9], point });
      expect(outcome, point.kind).toBe('restored');
    }
  });

  test('a dry run writes nothing there either', async () => {
    const { asked } = await run([GONE, planned(TX, { hasNext: true })], { ends: [9, 7], point: TX, dryRun: true });
    expect(asked).toEqual(['0 plan', '1 plan', '1 plan']);
  });
});

describe('none is taken, and the furthest answers', () => {
  test('a time behind the last commit of the other: commits in between may be not later', async () => {
    const { outcome, said } = await run([GONE, planned(TIME, { hasNext: false })], { ends: [9, 7], point: TIME });
    expect(outcome).toBe(GONE);
    expect(said.join()).toMatch(/not taken/);
  });

  test('a call: a newer one may lie behind the other’s end', async () => {
    const { outcome } = await run([GONE, planned(CALL, { hasNext: true })], { ends: [9, 7], point: CALL });
    expect(outcome).toBe(GONE);
  });

  test('the other refuses as well; no point was asked for; it was no matter of points', async () => {
    expect((await run([GONE, DAMAGED], { ends: [9, 7], point: TX })).outcome).toBe(GONE);
    expect((await run([DAMAGED, planned(TX, { hasNext: true })], { ends: [9, 7] })).outcome).toBe(DAMAGED);
    const away = new UnavailableError('the store is away');
    expect((await run([away, planned(TX, { hasNext: true })], { ends: [9, 7], point: TX })).outcome).toBe(away);
  });

  test('another one that can no longer be asked may hold it', async () => {
    const away = new UnavailableError('the store is away');
    expect((await run([GONE, away], { ends: [9, 7], point: TX })).outcome).toBe(away);
  });
});

test('of a whole server every database must be told exactly', async () => {
  const facts = (ends: Readonly<Record<string, number>>): Asked => {
    const { client } = destination(0);
    const lines = Object.entries(ends).map(([id, end]) => [id, { end: position(end), known: [] }] as const);
    return { client, kind: 'server', facts: { url: client.url, databases: new Map(lines), imageTime: null } };
  };
  const [seen, unseen] = [planned(TIME, { hasNext: true }), planned(TIME, { hasNext: false })].map((report) => ({
    point: report.kind === 'database' ? report.point : null,
  })) as [{ point: ResolvedPoint | null }, { point: ResolvedPoint | null }];
  const [furthest, other] = [facts({ '1': 9, '3': 9 }), facts({ '1': 7, '3': 9 })];
  const from = async (one: typeof seen, three: typeof seen): Promise<unknown> => {
    const answer = {
      kind: 'server',
      replicas: [
        { replicaId: 1n, ...one },
        { replicaId: 3n, ...three },
      ],
    } as const;
    const restore = (client: ReplicaClient) =>
      client === furthest.client ? Promise.reject(GONE) : Promise.resolve(answer);
    const options = { point: TIME, dryRun: false, log: silentLog, restore };
    return await restoreFromRanked({ furthest, others: [other] }, options).then(
      () => 'restored',
      (error: unknown) => error,
    );
  };
  // Replica 3 ends there where the furthest ends: nothing that is not seen can follow.
  expect(await from(seen, unseen)).toBe('restored');
  expect(await from(unseen, seen)).toBe(GONE);
});
