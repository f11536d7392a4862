/** What the contract says of put, get and head. */
import assert from 'node:assert/strict';
import { ObjectNotFoundError, PreconditionFailedError, readBody } from '../replica-client.ts';
import { assertHolds, type Check, pattern, READ_BYTES_MAX, readAll, text } from './contract-check.ts';

const KEY = 'generations/00000001-0000abcd/log/0/00000000000000000000/object.zst';

export function checkPutAndGet(check: Check, { largeBytes }: { readonly largeBytes: number }): void {
  check('put then get gives the same bytes, size and version', async (client) => {
    const { version } = await client.put(KEY, text('hello'));
    const facts = await assertHolds(client, KEY, text('hello'));
    assert.equal(facts.version, version);
  });
  check('head gives the same version and size as put and get', async (client) => {
    const { version } = await client.put(KEY, pattern(5000));
    assert.deepEqual({ ...(await client.head(KEY)) }, { version, size: 5000 });
  });
  check('equal bytes put again are no failure, and the object stays what it is', async (client) => {
    await client.put(KEY, text('same'));
    await client.put(KEY, text('same'));
    await assertHolds(client, KEY, text('same'));
  });
  check('without a condition the last writer wins, and the version changes', async (client) => {
    const first = await client.put(KEY, text('first'));
    const second = await client.put(KEY, text('second, longer'));
    assert.notEqual(first.version, second.version);
    assert.equal((await assertHolds(client, KEY, text('second, longer'))).version, second.version);
  });
  check('an empty object is an object', async (client) => {
    await client.put(KEY, new Uint8Array());
    assert.equal((await client.head(KEY)).size, 0);
    await assertHolds(client, KEY, new Uint8Array());
  });
  check('every byte value survives', async (client) => {
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    await client.put(KEY, bytes);
    await assertHolds(client, KEY, bytes);
  });
  check('a list body is sent back to back', async (client) => {
    await client.put(KEY, [text('one '), new Uint8Array(), text('two '), text('three')]);
    await assertHolds(client, KEY, text('one two three'));
  });
  check('an empty list body is an empty object', async (client) => {
    await client.put(KEY, []);
    await assertHolds(client, KEY, new Uint8Array());
  });
  check('a stream body is sent whole', async (client) => {
    const chunk = pattern(70_000);
    await client.put(KEY, {
      async *open() {
        for (let i = 0; i < 5; i += 1) yield chunk;
      },
    });
    await assertHolds(client, KEY, Buffer.concat([chunk, chunk, chunk, chunk, chunk]));
  });
  check('an empty stream body is an empty object', async (client) => {
    await client.put(KEY, { async *open() {} });
    await assertHolds(client, KEY, new Uint8Array());
  });
  check('a stream that gives the same buffer again with other bytes is sent right', async (client) => {
    await client.put(KEY, {
      async *open() {
        const buffer = new Uint8Array(1000);
        for (let i = 1; i <= 3; i += 1) yield buffer.fill(i);
      },
    });
    const expected = new Uint8Array(3000).fill(1, 0, 1000).fill(2, 1000, 2000).fill(3, 2000);
    await assertHolds(client, KEY, expected);
  });
  check('a stream that fails stores nothing and fails with its own error', async (client) => {
    const failing = {
      async *open() {
        yield pattern(100_000);
        throw new TypeError('the source broke');
      },
    };
    await assert.rejects(client.put(KEY, failing), TypeError);
    await assert.rejects(client.head(KEY), ObjectNotFoundError);
  });
  check('a body that is a view into a larger buffer is sent alone', async (client) => {
    const large = pattern(1000);
    await client.put(KEY, large.subarray(100, 200));
    await assertHolds(client, KEY, large.slice(100, 200));
  });
  check('the caller may use its buffer again once put resolves', async (client) => {
    const bytes = text('before');
    await client.put(KEY, bytes);
    bytes.fill(0);
    await assertHolds(client, KEY, text('before'));
  });
  check('a large body arrives whole', async (client) => {
    const large = pattern(largeBytes + 1_234_567);
    const { version } = await client.put(KEY, large);
    assert.equal((await assertHolds(client, KEY, large)).version, version);
  });
  check('a large stream arrives whole', async (client) => {
    const chunk = pattern(1_000_003);
    const chunks = Math.ceil(largeBytes / chunk.byteLength) + 1;
    await client.put(KEY, {
      async *open() {
        for (let i = 0; i < chunks; i += 1) yield chunk;
      },
    });
    await assertHolds(client, KEY, Buffer.concat(Array.from({ length: chunks }, () => chunk)));
  });
  check('a large list arrives whole', async (client) => {
    const part = pattern(Math.ceil(largeBytes / 3) + 1, 7);
    await client.put(KEY, [part, part, part, text('end')]);
    await assertHolds(client, KEY, Buffer.concat([part, part, part, text('end')]));
  });
  check('an absent key is ObjectNotFoundError for get and head, in a place that holds others', async (client) => {
    await client.put(KEY, text('another'));
    await assert.rejects(client.get(`${KEY}2`), ObjectNotFoundError);
    await assert.rejects(client.head(`${KEY}2`), ObjectNotFoundError);
    await assert.rejects(client.get('nothing/of/this'), ObjectNotFoundError);
  });
  check('get with ifMatch reads that version only', async (client) => {
    const { version } = await client.put(KEY, text('one'));
    assert.deepEqual(Buffer.from(await readBody(await client.get(KEY, { ifMatch: version }), 100)), Buffer.from('one'));
    await client.put(KEY, text('two'));
    await assert.rejects(client.get(KEY, { ifMatch: version }), PreconditionFailedError);
  });
  check('an object that is overwritten is never read as a mixture', async (client) => {
    const old = pattern(3_000_000, 3);
    const fresh = pattern(3_000_000, 4);
    await client.put(KEY, old);
    const object = await client.get(KEY);
    const reading = readBody(object, READ_BYTES_MAX);
    await client.put(KEY, fresh);
    const bytes = await reading.catch(() => old);
    assert.ok(Buffer.compare(bytes, old) === 0 || Buffer.compare(bytes, fresh) === 0, 'bytes of two versions');
    await assertHolds(client, KEY, fresh);
  });
  check('odd characters in keys are kept apart', async (client) => {
    const keys = [
      'extra/a b',
      'extra/a+b',
      'extra/a%20b',
      'extra/a&b=c',
      "extra/a'b",
      'extra/ü',
      'extra/a,b;c@d',
      'extra/日本',
    ];
    for (const key of keys) await client.put(key, text(key));
    for (const key of keys) assert.equal(Buffer.from(await readAll(client, key)).toString(), key);
  });
}

export function checkRanges(check: Check): void {
  const bytes = pattern(10_000);
  const cases: readonly (readonly [string, number, number, number, number])[] = [
    ['the start', 0, 100, 0, 100],
    ['one byte', 0, 1, 0, 1],
    ['the middle', 4000, 6000, 4000, 6000],
    ['the last byte', 9999, 10_000, 9999, 10_000],
    ['more than there is', 9000, 50_000, 9000, 10_000],
    ['all', 0, 10_000, 0, 10_000],
  ];
  for (const [name, start, endExclusive, from, to] of cases) {
    check(`a range: ${name}; the size stays that of the whole object`, async (client) => {
      const { version } = await client.put(KEY, bytes);
      const object = await client.get(KEY, { range: { start, endExclusive } });
      assert.equal(object.size, 10_000);
      assert.equal(object.version, version);
      assert.equal(Buffer.compare(await readBody(object, 20_000), bytes.subarray(from, to)), 0);
    });
  }
  check('a range that begins at or beyond the end is a RangeError', async (client) => {
    await client.put(KEY, bytes);
    await assert.rejects(client.get(KEY, { range: { start: 10_000, endExclusive: 10_001 } }), RangeError);
    await assert.rejects(client.get(KEY, { range: { start: 99_999, endExclusive: 100_001 } }), RangeError);
  });
  check('any range of an empty object is a RangeError', async (client) => {
    await client.put(KEY, new Uint8Array());
    await assert.rejects(client.get(KEY, { range: { start: 0, endExclusive: 1 } }), RangeError);
  });
  check('a range of an absent object is ObjectNotFoundError', async (client) => {
    await assert.rejects(client.get(KEY, { range: { start: 0, endExclusive: 1 } }), ObjectNotFoundError);
  });
  check('a range with ifMatch of another version is PreconditionFailedError', async (client) => {
    const { version } = await client.put(KEY, bytes);
    await client.put(KEY, pattern(10_000, 9));
    await assert.rejects(
      client.get(KEY, { ifMatch: version, range: { start: 1, endExclusive: 5 } }),
      PreconditionFailedError,
    );
  });
  check('a range deep in a large object', async (client) => {
    const large = pattern(3_000_000);
    await client.put(KEY, large);
    const object = await client.get(KEY, { range: { start: 1_234_567, endExclusive: 2_345_678 } });
    assert.equal(Buffer.compare(await readBody(object, READ_BYTES_MAX), large.subarray(1_234_567, 2_345_678)), 0);
  });
}
