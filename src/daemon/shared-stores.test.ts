// Invariant: destinations of one bucket are told apart by their keys and their URLs alone, and closing one, or failing to
// open one, closes no other.
import { mkdir } from 'node:fs/promises';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { rawHttpServer } from '../../test/support/raw-http-server.ts';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { readBody } from '../replica/replica-client.ts';
import { SharedStores, storeOf } from './shared-stores.ts';

test.each([
  ['file:///a', 'file:///b', true],
  ['s3://bkt/a?endpoint=http://x', 's3://bkt/b/c?endpoint=http://x&region=y', true],
  ['s3://bkt/a?endpoint=http://x', 's3://bkt/a?endpoint=http://y', false],
  ['s3://bkt/a?region=x', 's3://bkt/a?region=y', false],
  ['s3://one/a', 's3://two/a', false],
  ['file:///a', 's3://one/a', false],
])('%s and %s fail together: %s', (one, two, same) => {
  expect(storeOf(one) === storeOf(two)).toBe(same);
});

describe('SharedStores', () => {
  test('directories', async () => {
    await using directory = await temporaryDirectory();
    await mkdir(directory.at('a'));
    await mkdir(directory.at('b'));
    await using stores = new SharedStores({ requestTimeoutMs: 5_000, create: false });
    const [a, again, b] = await Promise.all(['a', 'a', 'b'].map((name) => stores.open(`file://${directory.at(name)}`)));
    await a?.put('k', Buffer.from('a'));
    await a?.close();
    await b?.put('k', Buffer.from('b'));
    const read = async (client: typeof a) =>
      client && Buffer.from(await readBody(await client.get('k'), 10)).toString();
    expect([await read(again), await read(b), again?.url]).toEqual(['a', 'b', `file://${directory.at('a')}`]);
  });

  test('prefixes of one bucket', async () => {
    await using server = await rawHttpServer((socket) => {
      socket.write('HTTP/1.1 200 OK\r\netag: "e"\r\ncontent-length: 0\r\n\r\n');
    });
    await using stores = new SharedStores({ requestTimeoutMs: 5_000, create: false });
    const query = `?endpoint=${server.endpoint}&region=us-east-1&forcePathStyle=true`;
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'somebody').stubEnv('AWS_SECRET_ACCESS_KEY', 'something');
    onTestFinished(() => void vi.unstubAllEnvs());
    const one = await stores.open(`s3://bkt/game/0${query}`);
    const two = await stores.open(`s3://bkt${query}`);
    expect([one.url, two.url]).toEqual([`s3://bkt/game/0${query}`, `s3://bkt${query}`]);
    await one.put('format.json', Buffer.from('x'));
    await one.close();
    await two.put('format.json', Buffer.from('x'));
    expect(server.requests.map((line) => line.split(/[ ?]/)[1])).toEqual([
      '/bkt/game/0/format.json',
      '/bkt/format.json',
    ]);
  });
});
