/** What the contract says of aborts, missing stores, unread bodies and the end of a client. */
import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { type ReplicaClient, StoreNotFoundError } from '../replica-client.ts';
import { assertAbsent, assertHolds, type Check, listKeys, pattern, putMany, text } from './contract-check.ts';

const KEY = 'packs/00/object.pack';

class Stop extends Error {}

export function checkLifetime(check: Check): void {
  check('a signal that is already aborted stops every call, with its reason', async (client) => {
    await client.put(KEY, text('stays'));
    const signal = AbortSignal.abort(new Stop());
    await assert.rejects(client.put('other', text('x'), { signal }), Stop);
    await assert.rejects(client.get(KEY, { signal }), Stop);
    await assert.rejects(client.head(KEY, { signal }), Stop);
    await assert.rejects(client.delete([KEY], { signal }), Stop);
    await assert.rejects(async () => {
      for await (const _ of client.list('', { signal })) assert.fail('a key of an aborted listing');
    }, Stop);
    await assertHolds(client, KEY, text('stays'));
    await assertAbsent(client, 'other');
  });
  check('an abort while a body streams in stores nothing', async (client) => {
    const controller = new AbortController();
    const body = {
      async *open() {
        yield pattern(100_000);
        controller.abort(new Stop());
        await turn();
        yield pattern(100_000);
      },
    };
    await assert.rejects(client.put(KEY, body, { signal: controller.signal }), Stop);
    await assertAbsent(client, KEY);
  });
  check('an abort while a body is read ends it with the reason', async (client) => {
    await client.put(KEY, pattern(20_000_000));
    const controller = new AbortController();
    const { body } = await client.get(KEY, { signal: controller.signal });
    await assert.rejects(async () => {
      for await (const _ of body) controller.abort(new Stop());
    }, Stop);
    await client.head(KEY);
  });
  check('an abort while a listing is read ends it with the reason', async (client) => {
    await putMany(client, ['a/1', 'a/2', 'a/3']);
    const controller = new AbortController();
    await assert.rejects(async () => {
      for await (const _ of client.list('', { signal: controller.signal })) controller.abort(new Stop());
    }, Stop);
  });
  check('bodies that are left early or never read do not stop later calls', async (client) => {
    await client.put(KEY, pattern(5_000_000));
    for (let i = 0; i < 100; i += 1) {
      const { body } = await client.get(KEY);
      if (i % 2 === 0) for await (const _ of body) break;
      else await body[Symbol.asyncIterator]().return?.();
    }
    await assertHolds(client, KEY, pattern(5_000_000));
  });
  check('many calls at once', async (client) => {
    const bytes = pattern(50_000);
    await Promise.all(Array.from({ length: 100 }, (_, i) => client.put(`a/${i}`, bytes)));
    await Promise.all(Array.from({ length: 100 }, (_, i) => assertHolds(client, `a/${i}`, bytes)));
  });
  check('close may be called twice, and calls after it fail', async (client) => {
    await client.put(KEY, text('x'));
    await client.close();
    await client.close();
    await assert.rejects(client.head(KEY));
    await assert.rejects(client.put(KEY, text('y')));
    await assert.rejects(listKeys(client, ''));
  });
  check('the URL names the destination and no credentials', async (client) => {
    assert.match(client.url, /^[a-z0-9]+:/);
    assert.doesNotMatch(client.url, /@|secret|password/i);
  });
}

/** Absence of the store is never absence of an object, nor an empty listing. */
export function checkMissingStore(check: Check): void {
  const calls: readonly (readonly [string, (client: ReplicaClient) => Promise<unknown>])[] = [
    ['put', (client) => client.put(KEY, text('x'))],
    ['get', (client) => client.get(KEY)],
    ['head', (client) => client.head(KEY)],
    ['list', (client) => listKeys(client, '')],
    ['list below a prefix', (client) => listKeys(client, 'packs/')],
    ['delete', (client) => client.delete([KEY])],
  ];
  for (const [name, call] of calls) {
    check(`${name} in a store that is not there is StoreNotFoundError`, async (client) => {
      await assert.rejects(call(client), StoreNotFoundError);
    });
  }
}
