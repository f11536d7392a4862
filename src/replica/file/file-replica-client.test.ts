/**
 * Invariants: the contract over real files; nothing is read or written through a link or outside of the root; a missing
 * root is never an empty backup. Crash points: between temporary and name (a temporary is never listed), while a lock
 * is held (file-lock.test.ts).
 */
import { mkdtemp, readdir, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AssertionError, ConfigurationError, LocalFileError, type ReplicateError } from '../../core/errors.ts';
import { replicaClientContract } from '../contract/replica-client-contract.ts';
import {
  ObjectNotFoundError,
  readBody,
  StoreNotFoundError,
  UnauthorizedError,
  UnavailableError,
  UnsupportedByStoreError,
} from '../replica-client.ts';
import { fileStoreError, StoreFullError } from './file-errors.ts';
import { FileReplicaClient } from './file-replica-client.ts';

let root: string;
let places = 0;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'stdb-file-store-'));
});
afterEach(async () => {
  await rm(root, { recursive: true });
});

async function listKeys(client: FileReplicaClient): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of client.list('')) keys.push(key);
  return keys;
}

describe('file store', () => {
  replicaClientContract({
    test,
    open: async () => new FileReplicaClient(join(root, `new/place-${(places += 1)}`), { create: true }),
    openMissing: async () => new FileReplicaClient(join(root, 'absent')),
  });
});

describe('file store: what lies in the directory', () => {
  test('create makes the root once; a root that vanishes later is not made again', async () => {
    const client = new FileReplicaClient(join(root, 'a/b'), { create: true });
    await client.put('k/x', Buffer.from('1'));
    await rm(join(root, 'a'), { recursive: true });
    await expect(client.put('k/y', Buffer.from('2'))).rejects.toThrow(StoreNotFoundError);
    await expect(client.get('k/x')).rejects.toThrow(StoreNotFoundError);
  });

  test('a root that is a file is not a store', async () => {
    await writeFile(join(root, 'file'), '');
    await expect(listKeys(new FileReplicaClient(join(root, 'file')))).rejects.toThrow(StoreNotFoundError);
  });

  test('temporaries, locks, hidden files and links are not objects', async () => {
    const client = new FileReplicaClient(root);
    await client.put('a/x', Buffer.from('1'));
    for (const name of ['.stdb-tmp-00', '.stdb-lock-x', '.hidden']) await writeFile(join(root, 'a', name), '');
    await symlink('/etc/passwd', join(root, 'a/link'));
    await symlink('/etc', join(root, 'linked'));
    expect(await listKeys(client)).toEqual(['a/x']);
  });

  test.each(['a/link', 'linked/passwd'])('a link is refused: %s', async (key) => {
    const client = new FileReplicaClient(root);
    await client.put('a/x', Buffer.from('1'));
    await symlink('/etc/passwd', join(root, 'a/link'));
    await symlink('/etc', join(root, 'linked'));
    await expect(client.get(key)).rejects.toThrow(ConfigurationError);
    await expect(client.head(key)).rejects.toThrow(ConfigurationError);
  });

  test('nothing is written or deleted behind a linked directory', async () => {
    const outside = await mkdtemp(join(tmpdir(), 'stdb-outside-'));
    try {
      await writeFile(join(outside, 'keep'), 'x');
      await symlink(outside, join(root, 'linked'));
      const client = new FileReplicaClient(root);
      await expect(client.put('linked/new', Buffer.from('1'))).rejects.toThrow(ConfigurationError);
      await expect(client.put('linked/deep/new', Buffer.from('1'))).rejects.toThrow(ConfigurationError);
      expect((await client.delete(['linked/keep'])).map(({ key }) => key)).toEqual(['linked/keep']);
      expect(await readdir(outside)).toEqual(['keep']);
    } finally {
      await rm(outside, { recursive: true });
    }
  });

  test.each(['../x', 'a/../x', '/x', 'a//x', '', 'a/', './x', '.stdb-tmp-1', 'a\0b', 'a\\b', `${'x'.repeat(256)}`])(
    'a key that is no key is a bug: %j',
    async (key) => {
      const client = new FileReplicaClient(root);
      await expect(client.put(key, Buffer.from('1'))).rejects.toThrow(AssertionError);
      await expect(client.get(key)).rejects.toThrow(AssertionError);
      expect(await readdir(root)).toEqual([]);
    },
  );

  test('a failed put leaves no temporary behind', async () => {
    const client = new FileReplicaClient(root);
    const failing = {
      async *open() {
        yield Buffer.from('x');
        throw new Error('broken');
      },
    };
    await expect(client.put('a/x', failing)).rejects.toThrow('broken');
    expect(await readdir(join(root, 'a'))).toEqual([]);
  });

  test('a body that cannot be read is not blamed on the store', async () => {
    const cause = Object.assign(new Error('EACCES: the source'), { code: 'EACCES', syscall: 'read' });
    const failing = {
      open: () => ({
        [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(cause) }),
      }),
    };
    await expect(new FileReplicaClient(root).put('a/x', failing)).rejects.toBe(cause);
  });

  test('a file that shrinks while it is read is an error, not a short body', async () => {
    const client = new FileReplicaClient(root);
    await client.put('a/x', Buffer.alloc(4_000_000));
    const object = await client.get('a/x');
    await truncate(join(root, 'a/x'), 2_500_000);
    await expect(readBody(object, 4_000_000)).rejects.toThrow(UnavailableError);
  });

  test('a directory is not an object', async () => {
    const client = new FileReplicaClient(root);
    await client.put('a/b/c', Buffer.from('1'));
    await expect(client.get('a/b')).rejects.toThrow(ObjectNotFoundError);
    await expect(client.get('a/b/c/d')).rejects.toThrow(ObjectNotFoundError);
    expect(await client.delete(['a/b', 'a/b/c/d'])).toEqual([]);
    expect(await listKeys(client)).toEqual(['a/b/c']);
  });

  // Root may write anywhere, so that the mapping is checked on the errors themselves.
  test.each([
    ['EACCES', UnauthorizedError, false, 'permission'],
    ['EPERM', UnauthorizedError, false, 'permission'],
    ['EROFS', UnauthorizedError, false, 'read-only'],
    ['ENAMETOOLONG', LocalFileError, false, undefined],
    ['ENOSPC', StoreFullError, true, 'Free space'],
    ['EIO', UnavailableError, true, undefined],
    ['EMFILE', UnavailableError, true, 'open files'],
    ['ENOTDIR', UnsupportedByStoreError, false, 'a file, not a directory'],
  ])('%s', (code, kind, retry, hint) => {
    const cause = Object.assign(new Error(`${code}: it failed`), { code, syscall: 'open' });
    const error = fileStoreError('write', '/backup/x', cause);
    expect(error).toBeInstanceOf(kind);
    expect((error as ReplicateError).shouldRetry()).toBe(retry);
    expect((error as ReplicateError).message).toContain('/backup/x');
    if (hint === undefined) expect((error as ReplicateError).hint).toBeUndefined();
    else expect((error as ReplicateError).hint).toContain(hint);
  });

  test('versions of long objects survive the client, and change with the content', async () => {
    const long = Buffer.alloc(2_000_000, 1);
    const { version } = await new FileReplicaClient(root).put('a/x', long);
    expect((await new FileReplicaClient(root).head('a/x')).version).toBe(version);
    const again = await new FileReplicaClient(root).put('a/x', Buffer.alloc(2_000_000, 2), { ifMatch: version });
    expect(again.version).not.toBe(version);
  });
});
