/** What the contract says of conditional writes, and of stores that have none. */
import assert from 'node:assert/strict';
import { PreconditionFailedError, type ReplicaClient, UnsupportedByStoreError } from '../replica-client.ts';
import { assertAbsent, assertHolds, type Check, readAll, text } from './contract-check.ts';

const KEY = 'head.json';
const RACERS = 20;

const mayCreate = (client: ReplicaClient): boolean => client.conditional !== 'none';
const maySwap = (client: ReplicaClient): boolean => client.conditional === 'full';

export function checkConditions(check: Check): void {
  const checkCreate: Check = (name, run) =>
    check(name, async (client) => (mayCreate(client) ? run(client) : undefined));
  const checkSwap: Check = (name, run) => check(name, async (client) => (maySwap(client) ? run(client) : undefined));

  checkCreate('ifAbsent creates', async (client) => {
    await client.put(KEY, text('one'), { ifAbsent: true });
    await assertHolds(client, KEY, text('one'));
  });
  checkCreate('ifAbsent does not overwrite, not even with equal bytes', async (client) => {
    await client.put(KEY, text('one'));
    await assert.rejects(client.put(KEY, text('two'), { ifAbsent: true }), PreconditionFailedError);
    await assert.rejects(client.put(KEY, text('one'), { ifAbsent: true }), PreconditionFailedError);
    await assertHolds(client, KEY, text('one'));
  });
  checkCreate('ifAbsent creates again what was deleted', async (client) => {
    await client.put(KEY, text('one'), { ifAbsent: true });
    await client.delete([KEY]);
    await client.put(KEY, text('two'), { ifAbsent: true });
    await assertHolds(client, KEY, text('two'));
  });
  checkCreate('of 20 racing creators exactly one wins, and its bytes stay', async (client) => {
    const winner = await race((i) => client.put(KEY, text(`writer ${i}`), { ifAbsent: true }));
    assert.equal(Buffer.from(await readAll(client, KEY)).toString(), `writer ${winner}`);
  });
  checkSwap('ifMatch replaces the version it names', async (client) => {
    const one = await client.put(KEY, text('one'));
    const two = await client.put(KEY, text('two'), { ifMatch: one.version });
    assert.equal((await assertHolds(client, KEY, text('two'))).version, two.version);
  });
  checkSwap('ifMatch refuses another version and changes nothing', async (client) => {
    const one = await client.put(KEY, text('one'));
    await client.put(KEY, text('two'));
    await assert.rejects(client.put(KEY, text('three'), { ifMatch: one.version }), PreconditionFailedError);
    await assertHolds(client, KEY, text('two'));
  });
  checkSwap('ifMatch refuses an absent key and creates nothing', async (client) => {
    const { version } = await client.put('other', text('one'));
    await assert.rejects(client.put(KEY, text('one'), { ifMatch: version }), PreconditionFailedError);
    await assertAbsent(client, KEY);
  });
  checkSwap('of 20 racing swaps of one version exactly one wins', async (client) => {
    const { version } = await client.put(KEY, text('start'));
    const winner = await race((i) => client.put(KEY, text(`writer ${i}`), { ifMatch: version }));
    assert.equal(Buffer.from(await readAll(client, KEY)).toString(), `writer ${winner}`);
  });
  checkSwap('a chain of swaps never loses one', async (client) => {
    let { version } = await client.put(KEY, text('0'));
    for (let i = 1; i <= 10; i += 1) ({ version } = await client.put(KEY, text(String(i)), { ifMatch: version }));
    await assertHolds(client, KEY, text('10'));
  });
  check('a condition that the store does not know is refused before anything is sent', async (client) => {
    if (!mayCreate(client)) {
      await assert.rejects(client.put(KEY, text('x'), { ifAbsent: true }), UnsupportedByStoreError);
    }
    if (!maySwap(client)) await assert.rejects(client.put(KEY, text('x'), { ifMatch: 'v' }), UnsupportedByStoreError);
    await assertAbsent(client, KEY);
  });
}

/** The index of the only winner. */
async function race(put: (i: number) => Promise<unknown>): Promise<number> {
  const results = await Promise.allSettled(Array.from({ length: RACERS }, (_, i) => put(i)));
  const winners: number[] = [];
  for (const [i, result] of results.entries()) {
    if (result.status === 'fulfilled') winners.push(i);
    else if (!isLost(result.reason)) throw result.reason;
  }
  assert.equal(winners.length, 1, `winners: ${winners.join(', ')}`);
  return winners[0] as number;
}

/** Some stores tell a loser to try again (409) instead of that it has lost. */
const isLost = (error: unknown): boolean =>
  error instanceof PreconditionFailedError ||
  (error instanceof Error && 'code' in error && error.code === 'STORE_UNAVAILABLE');
