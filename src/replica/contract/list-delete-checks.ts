/** What the contract says of list and delete. */
import assert from 'node:assert/strict';
import { compareKeys } from '../keys.ts';
import { assertAbsent, type Check, listKeys, putMany, text } from './contract-check.ts';

const numbered = (count: number, prefix: string): string[] =>
  Array.from({ length: count }, (_, i) => `${prefix}${String(i).padStart(20, '0')}.zst`);

export function checkLists(check: Check): void {
  check('an empty place lists nothing', async (client) => {
    assert.deepEqual(await listKeys(client, ''), []);
    assert.deepEqual(await listKeys(client, 'generations/'), []);
  });
  check('list gives keys and sizes', async (client) => {
    await client.put('a/1', text('12345'));
    await client.put('a/2', text(''));
    const listed = [];
    for await (const { key, size } of client.list('')) listed.push({ key, size });
    assert.deepEqual(listed, [
      { key: 'a/1', size: 5 },
      { key: 'a/2', size: 0 },
    ]);
  });
  check('keys come in the order of their bytes, whatever the directories', async (client) => {
    const keys = [
      'log/0/a',
      'log/0-b/a',
      'log/0.c/a',
      'log/00/a',
      'log/1/a',
      'log/a/b/c',
      'log/a/b.d',
      'log/a/b-e',
      'log/A/x',
    ];
    await putMany(client, keys);
    assert.deepEqual(await listKeys(client, ''), [...keys].sort(compareKeys));
  });
  check('characters beyond ASCII sort by their UTF-8 bytes', async (client) => {
    const keys = ['extra/z', 'extra/ü', 'extra/日', 'extra/\u{fb00}', 'extra/\u{1f600}'];
    await putMany(client, keys);
    assert.deepEqual(await listKeys(client, 'extra/'), keys);
  });
  check('a prefix is a string, not a directory', async (client) => {
    await putMany(client, ['packs/00/a', 'packs/01/b', 'packs/0f/c', 'packs/10/d', 'pack.json']);
    assert.deepEqual(await listKeys(client, 'packs/0'), ['packs/00/a', 'packs/01/b', 'packs/0f/c']);
    assert.deepEqual(await listKeys(client, 'pack'), [
      'pack.json',
      'packs/00/a',
      'packs/01/b',
      'packs/0f/c',
      'packs/10/d',
    ]);
    assert.deepEqual(await listKeys(client, 'packs/01/b'), ['packs/01/b']);
    assert.deepEqual(await listKeys(client, 'packs/01/bc'), []);
  });
  check('startAfter leaves out that key and all before it', async (client) => {
    const keys = ['a/1', 'a/2', 'a/3/x', 'a/3/y', 'b/1'];
    await putMany(client, keys);
    assert.deepEqual(await listKeys(client, '', 'a/2'), ['a/3/x', 'a/3/y', 'b/1']);
    assert.deepEqual(await listKeys(client, 'a/', 'a/3/x'), ['a/3/y']);
    assert.deepEqual(await listKeys(client, 'a/', 'a/2zzz'), ['a/3/x', 'a/3/y']);
    assert.deepEqual(await listKeys(client, 'b/', 'a/1'), ['b/1']);
    assert.deepEqual(await listKeys(client, 'a/', 'b'), []);
  });
  check('more than 2,000 keys: each once, in order, and from a place in the middle', async (client) => {
    const keys = numbered(2300, 'generations/00000001-0000abcd/log/0/00000000000000000000/');
    await putMany(client, keys);
    assert.deepEqual(await listKeys(client, 'generations/'), keys);
    assert.deepEqual(await listKeys(client, 'generations/', keys[1100]), keys.slice(1101));
  });
  check('a listing can be left early', async (client) => {
    await putMany(client, numbered(10, 'a/'));
    for await (const { key } of client.list('a/')) {
      assert.equal(key, numbered(1, 'a/')[0]);
      break;
    }
    assert.equal((await listKeys(client, 'a/')).length, 10);
  });
  check('odd characters in keys are listed as they were put', async (client) => {
    const keys = ['extra/a b', 'extra/a%20b', 'extra/a&b', 'extra/a+b', 'extra/ü'].sort(compareKeys);
    await putMany(client, keys);
    assert.deepEqual(await listKeys(client, 'extra/a'), keys.slice(0, 4));
    assert.deepEqual(await listKeys(client, 'extra/', 'extra/a b'), keys.slice(1));
  });
}

export function checkDeletes(check: Check): void {
  check('a deleted object is gone from get and list', async (client) => {
    await putMany(client, ['a/1', 'a/2']);
    assert.deepEqual(await client.delete(['a/1']), []);
    await assertAbsent(client, 'a/1');
    assert.deepEqual(await listKeys(client, ''), ['a/2']);
  });
  check('deleting what is absent is success, and nothing is nothing', async (client) => {
    await client.put('a/1', text('x'));
    assert.deepEqual(await client.delete(['a/2', 'no/such/key', 'a/1']), []);
    assert.deepEqual(await client.delete([]), []);
    assert.deepEqual(await listKeys(client, ''), []);
  });
  check('deleting 1,500 keys, a third of them absent', async (client) => {
    const keys = numbered(1500, 'a/');
    await putMany(client, [...keys.filter((_, i) => i % 3 !== 0), 'b/stays']);
    assert.deepEqual(await client.delete(keys), []);
    assert.deepEqual(await listKeys(client, ''), ['b/stays']);
  });
  check('odd characters in keys are deleted as they were put', async (client) => {
    const keys = ['extra/a b', 'extra/a%20b', 'extra/a&b', 'extra/<a>', 'extra/ü'];
    await putMany(client, keys);
    assert.deepEqual(await client.delete(keys), []);
    assert.deepEqual(await listKeys(client, ''), []);
  });
}
