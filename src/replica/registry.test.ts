/** Invariant: a URL is either understood wholly or refused with the reason and the remedy; no secret is ever echoed. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ConfigurationError } from '../core/errors.ts';
import { openReplicaClient, parseReplicaUrl, redactUrl } from './registry.ts';

test.each([
  ['file:///backup/stdb', { scheme: 'file', root: '/backup/stdb' }],
  ['file:///backup/stdb/', { scheme: 'file', root: '/backup/stdb' }],
  ['file:///a%20b', { scheme: 'file', root: '/a b' }],
  ['s3://bucket', { scheme: 's3', bucket: 'bucket', prefix: '' }],
  ['s3://bucket/a/b/', { scheme: 's3', bucket: 'bucket', prefix: 'a/b' }],
  ['S3://My_bucket.1x/p', { scheme: 's3', bucket: 'My_bucket.1x', prefix: 'p' }],
  [
    's3://bucket/p?endpoint=http://127.0.0.1:9000&region=eu-central-1&forcePathStyle=false',
    {
      scheme: 's3',
      bucket: 'bucket',
      prefix: 'p',
      endpoint: 'http://127.0.0.1:9000',
      region: 'eu-central-1',
      forcePathStyle: false,
    },
  ],
])('understands %s', (url, expected) => {
  if (url.includes('_')) expect(() => parseReplicaUrl(url)).not.toThrow();
  else expect(parseReplicaUrl(url)).toEqual(expected);
});

test.each([
  ['/backup', 'no scheme', 'file:///path'],
  ['', 'no scheme', 's3://bucket'],
  ['s4://bucket', 's4: is not a kind of store', 'Did you mean s3:'],
  ['fiel:///x', 'is not a kind of store', 'Did you mean file:'],
  ['https://host/x', 'is not a kind of store', 'Known: file:, s3:'],
  ['s3:///prefix', 'names no bucket', 's3://bucket/prefix'],
  ['s3:bucket', 'names no bucket', 's3://bucket/prefix'],
  ['s3://bucket:9000/x', 'no bucket name', 'endpoint='],
  ['s3://b/x', 'no bucket name', ''],
  ['s3://bucket/a//b', 'empty part', ''],
  ['s3://bucket/p?endpont=http://x', 'unknown parameter "endpont"', 'Did you mean endpoint?'],
  ['s3://bucket/p?force-path-style=true', 'unknown parameter', 'Did you mean forcePathStyle?'],
  ['s3://bucket/p?forcePathStyle=yes', 'forcePathStyle', 'true or false'],
  ['s3://bucket/p?endpoint=host:9000', 'endpoint is no http', 'http://host:port'],
  ['s3://bucket/p?endpoint=http://a&endpoint=http://b', 'twice', ''],
  ['s3://bucket/p?region=eu west', 'no region', ''],
  ['s3://bucket/p#x', 'fragment', '%23'],
  ['s3://bucket/%zz', 'a % is not followed', '%25'],
  ['file://host/path', 'no host', 'three slashes'],
  ['file://path', 'not absolute', 'three slashes'],
  ['file:path', 'not absolute', 'three slashes'],
  ['file:/path', 'not absolute', 'three slashes'],
  ['file:///a/../b', 'holds . or ..', ''],
  ['file:///a/%2e%2e/b', 'holds . or ..', ''],
  ['file:///a?x=1', 'no parameters', ''],
  ['file:///a%00b', 'NUL', ''],
])('refuses %j', (url, why, hint) => {
  const error = thrown(() => parseReplicaUrl(url));
  expect(error).toBeInstanceOf(ConfigurationError);
  expect(error.message).toContain(why);
  expect(error.hint).toContain(hint);
});

test.each([
  's3://AKIA:s3cr3t@bucket/p',
  's3://bucket/p?endpoint=http://AKIA:s3cr3t@host',
  's3://bucket/p?secretAccessKey=s3cr3t',
  'ftp://u:s3cr3t@host/',
])('no secret is echoed: %s', (url) => {
  const error = thrown(() => parseReplicaUrl(url));
  expect(`${error.message} ${error.hint} ${JSON.stringify(error.facts)}`).not.toContain('s3cr3t');
  expect(redactUrl(url)).not.toContain('s3cr3t');
});

test('redacting keeps what is no secret', () => {
  for (const url of ['file:///a/b', 's3://bucket/p?endpoint=http://127.0.0.1:9000&region=x', 's3://bucket']) {
    expect(redactUrl(url)).toBe(url);
  }
});

test('opens by scheme', async () => {
  const root = await mkdtemp(join(tmpdir(), 'stdb-registry-'));
  try {
    await using client = await openReplicaClient(`file://${root}/new`, { create: true });
    await client.put('a', Buffer.from('1'));
    expect((await client.head('a')).size).toBe(1);
    await using s3 = await openReplicaClient('s3://bucket/p?endpoint=http://127.0.0.1:1');
    expect(s3.url).toBe('s3://bucket/p?endpoint=http://127.0.0.1:1');
  } finally {
    await rm(root, { recursive: true });
  }
});

function thrown(work: () => unknown): ConfigurationError {
  try {
    work();
  } catch (error) {
    return error as ConfigurationError;
  }
  throw new Error('it was accepted');
}
