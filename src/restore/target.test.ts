/**
 * Invariant: a restore writes only where nothing is; what it writes appears whole or not at all, and whatever a dead
 * restore left is neither a database nor in the way.
 */
import { chown, mkdir, mkdtemp, readdir, readFile, realpath, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LocalFileError, TargetInUseError, UsageError } from '../core/errors.ts';
import { readProcessIdentity } from '../core/process-identity.ts';
import { databaseExists } from './database-exists.ts';
import { lockState } from './file-locks.ts';
import { Staging, type StagingOptions } from './staging.ts';
import { ownershipLike } from './ownership.ts';
import { checkTargetOutsideStore, inspectTarget } from './target.ts';
import { parseMountPoints, realTargetSystem, type TargetSystem } from './target-system.ts';

let root: string;
beforeEach(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'stdb-target-')));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const SEGMENT = '00000000000000000000.stdb.log';
const mountPointAt = (path: string): TargetSystem => ({
  ...realTargetSystem,
  isMountPoint: async (directory) => directory === path,
});

async function stageSample(target: string, options: StagingOptions = {}): Promise<Staging> {
  const staging = await Staging.open(await inspectTarget(target, options), options);
  for (const directory of ['clog', 'snapshots']) await mkdir(join(staging.content, directory));
  await writeFile(join(staging.content, 'clog', SEGMENT), 'more than ten bytes');
  return staging;
}

describe('inspecting a target', () => {
  test('an absent one, an empty one and one with lost+found alone may be written to', async () => {
    await mkdir(join(root, 'empty'));
    await mkdir(join(root, 'disk', 'lost+found'), { recursive: true });
    expect(await inspectTarget(join(root, 'absent', 'too'))).toMatchObject({ exists: false, staging: 'beside' });
    expect(await inspectTarget(join(root, 'empty'))).toMatchObject({ exists: true, staging: 'beside', leftovers: [] });
    expect(await inspectTarget(join(root, 'disk'))).toMatchObject({ exists: true, staging: 'inside', leftovers: [] });
  });

  test('one that holds something is refused, naming some of it', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) await writeFile(join(root, name), '');
    const refused = inspectTarget(root);
    await expect(refused).rejects.toThrow(TargetInUseError);
    await expect(refused).rejects.toThrow('a, b, c, d, e and 2 more');
  });

  test('a file, a path below a file and a link that leads nowhere are refused', async () => {
    await writeFile(join(root, 'file'), '');
    await symlink(join(root, 'nowhere'), join(root, 'link'));
    await expect(inspectTarget(join(root, 'file'))).rejects.toThrow(TargetInUseError);
    await expect(inspectTarget(join(root, 'file', 'x'))).rejects.toThrow(LocalFileError);
    await expect(inspectTarget(join(root, 'link'))).rejects.toThrow(LocalFileError);
  });

  test('a link to an empty directory is followed', async () => {
    await mkdir(join(root, 'real'));
    await symlink(join(root, 'real'), join(root, 'link'));
    expect((await inspectTarget(join(root, 'link'))).path).toBe(join(root, 'real'));
  });

  test('a held db.lock is told from one that is not seen to be held', async () => {
    await writeFile(join(root, 'db.lock'), '');
    const { dev, ino } = await stat(join(root, 'db.lock'), { bigint: true });
    const hex = (value: bigint): string => value.toString(16).padStart(2, '0');
    const device = `${hex((dev >> 8n) & 0xfffn)}:${hex((dev & 0xffn) | ((dev >> 12n) & 0xfff00n))}`;
    const locked = {
      ...realTargetSystem,
      readLocks: async () => `1: FLOCK  ADVISORY  WRITE 42 ${device}:${ino} 0 EOF\n`,
    };
    await expect(inspectTarget(root, { system: locked })).rejects.toThrow('a server has the restore target');
    await expect(inspectTarget(root)).rejects.toThrow('does not prove');
  });

  test('an unwritable parent or a mount point is staged inside; both unwritable is an error', async () => {
    const target = join(root, 'target');
    await mkdir(target);
    const readOnlyParent = { ...realTargetSystem, isWritable: async (path: string) => path === target };
    expect((await inspectTarget(target, { system: readOnlyParent })).staging).toBe('inside');
    expect((await inspectTarget(target, { system: mountPointAt(target) })).staging).toBe('inside');
    const nothing = { ...realTargetSystem, isWritable: async () => false };
    await expect(inspectTarget(target, { system: nothing })).rejects.toThrow(LocalFileError);
    await expect(inspectTarget(join(root, 'absent'), { system: nothing })).rejects.toThrow(LocalFileError);
  });

  test('the real system sees mount points', async () => {
    expect(await realTargetSystem.isMountPoint('/proc')).toBe(true);
    expect(await realTargetSystem.isMountPoint(root)).toBe(false);
    expect(parseMountPoints('22 27 0:20 / /with\\040blank rw - ext4 x rw\n')).toEqual(new Set(['/with blank']));
  });

  test('a target within a file store is refused, also through a link', async () => {
    await mkdir(join(root, 'store'));
    await symlink(join(root, 'store'), join(root, 'link'));
    const url = `file://${join(root, 'store')}`;
    await expect(checkTargetOutsideStore(join(root, 'store'), url)).rejects.toThrow(UsageError);
    await expect(checkTargetOutsideStore(join(root, 'link', 'deep', 'er'), url)).rejects.toThrow(UsageError);
    await checkTargetOutsideStore(join(root, 'store-2'), url);
    await checkTargetOutsideStore(join(root, 'store'), 's3://bucket/store');
  });
});

describe('staging', () => {
  test('published beside: the target appears whole, with nothing else around it', async () => {
    const target = join(root, 'not', 'yet', 'there');
    await using staging = await stageSample(target);
    expect(await readdir(join(root, 'not', 'yet'))).toHaveLength(1);
    await staging.publish();
    expect((await readdir(target)).sort()).toEqual(['clog', 'snapshots']);
    expect(await readdir(join(root, 'not', 'yet'))).toEqual(['there']);
  });

  test('published over an empty directory it keeps that one’s mode', async () => {
    const target = join(root, 'target');
    await mkdir(target, { mode: 0o700 });
    await using staging = await stageSample(target);
    await staging.publish();
    expect((await stat(target)).mode & 0o777).toBe(0o700);
  });

  const ownedBy = (uid: number, mode = 0o40755) => ({ uid, gid: uid, mode });
  /** Of a process that may not give files away. */
  const nobodyElse: TargetSystem = {
    ...realTargetSystem,
    setOwner: async () => {
      throw Object.assign(new Error('EPERM: operation not permitted, chown'), { code: 'EPERM' });
    },
  };

  test('owner and mode are those of the directory there, but never writable for everybody', () => {
    const mode = (of: number): number => ownershipLike(ownedBy(7, of), {}).directoryMode;
    expect(ownershipLike(ownedBy(7), {})).toEqual({ uid: 7, gid: 7, directoryMode: 0o755, fileMode: 0o644 });
    expect([0o40700, 0o41777, 0o40777, 0o42770, 0o40555].map(mode)).toEqual([0o700, 0o755, 0o775, 0o770, 0o755]);
    const wish = { uid: 1, gid: 2, mode: 0o750 };
    expect(ownershipLike(ownedBy(7), wish)).toEqual({ uid: 1, gid: 2, directoryMode: 0o750, fileMode: 0o640 });
  });

  test('a mode that is asked for is that of every directory and, without x, of every file', async () => {
    const target = join(root, 'target');
    await using staging = await stageSample(target, { ownership: { mode: 0o710 } });
    await using file = await staging.system.createFile(join(staging.content, 'clog', 'other'));
    expect((await file.stat()).mode & 0o777).toBe(0o600);
    await staging.publish();
    for (const name of ['', 'clog', 'snapshots']) expect((await stat(join(target, name))).mode & 0o777).toBe(0o710);
  });

  test('an owner that is asked for and cannot be is told before anything is written', async () => {
    const opened = stageSample(join(root, 'made', 'target'), { system: nobodyElse, ownership: { uid: 12_345 } });
    await expect(opened).rejects.toThrow(LocalFileError);
    await expect(opened).rejects.toThrow('user 12345');
    expect(await readdir(root)).toEqual([]);
  });

  test('what belonged to another user is given to that one, or the operator is told', async () => {
    const target = join(root, 'target');
    await mkdir(target);
    await using same = await stageSample(target);
    expect(same.ownerWarning).toBeNull();
    await same[Symbol.asyncDispose]();
    const isRoot = await chown(target, 12_345, 12_345).then(
      () => true,
      () => false,
    );
    // Only root can make a directory of somebody else.
    if (!isRoot) return;
    await using told = await stageSample(target, { system: nobodyElse });
    expect(told.ownerWarning).toContain('chown -R 12345:12345');
    await told[Symbol.asyncDispose]();
    await using below = await stageSample(join(target, 'below'), { system: nobodyElse });
    expect(below.ownerWarning).toContain('the directory above');
    await below[Symbol.asyncDispose]();
    await using given = await stageSample(target);
    await using file = await given.system.createFile(join(given.content, 'clog', 'other'));
    expect(given.ownerWarning).toBeNull();
    await given.publish();
    expect((await file.stat()).uid).toBe(12_345);
    for (const name of ['', 'clog']) expect(await stat(join(target, name))).toMatchObject({ uid: 12_345, gid: 12_345 });
  });

  test('published inside: the directory itself stays, lost+found too', async () => {
    const target = join(root, 'target');
    await mkdir(join(target, 'lost+found'), { recursive: true });
    const { ino } = await stat(target);
    await using staging = await stageSample(target, { system: mountPointAt(target) });
    await staging.publish();
    expect((await readdir(target)).sort()).toEqual(['clog', 'lost+found', 'snapshots']);
    expect((await stat(target)).ino).toBe(ino);
  });

  test('abandoned: nothing is left, directories that were made for it included', async () => {
    await (await stageSample(join(root, 'a', 'b', 'target')))[Symbol.asyncDispose]();
    expect(await readdir(root)).toEqual([]);
    await mkdir(join(root, 'disk'));
    await (await stageSample(join(root, 'disk'), { system: mountPointAt(join(root, 'disk')) }))[Symbol.asyncDispose]();
    expect(await readdir(join(root, 'disk'))).toEqual([]);
  });

  test.each(['beside', 'inside'])('a target that was filled meanwhile is not touched (%s)', async (where) => {
    const target = join(root, 'target');
    await mkdir(target);
    const staging = await stageSample(target, where === 'inside' ? { system: mountPointAt(target) } : {});
    await mkdir(join(target, 'clog'));
    await writeFile(join(target, 'clog', SEGMENT), 'of somebody else');
    await expect(staging.publish()).rejects.toThrow(TargetInUseError);
    await staging[Symbol.asyncDispose]();
    expect(await readFile(join(target, 'clog', SEGMENT), 'utf8')).toBe('of somebody else');
    expect(await readdir(target)).toEqual(['clog']);
    expect(await readdir(root)).toEqual(['target']);
  });
});

describe('an unfinished restore', () => {
  /** As a process leaves it that was killed after its first rename into the target. */
  async function leaveHalf(target: string, owner: object | null): Promise<string> {
    const staging = join(target, '.stdb-restore-0123456789ab');
    await mkdir(join(staging, 'content', 'clog'), { recursive: true });
    await mkdir(join(target, 'snapshots', '00000000000000000001.snapshot_dir'), { recursive: true });
    if (owner) await writeFile(join(staging, 'owner.json'), JSON.stringify(owner));
    return staging;
  }

  test('is no database, and is cleared by the next one', async () => {
    const target = join(root, 'target');
    await leaveHalf(target, { ...(await readProcessIdentity()), startTime: '1' });
    await mkdir(join(root, '.target.stdb-restore-ba9876543210', 'content'), { recursive: true });
    expect(await databaseExists(target)).toBe(false);
    await using staging = await stageSample(target);
    await staging.publish();
    expect(await databaseExists(target)).toBe(true);
    expect(await readdir(root)).toEqual(['target']);
    expect(await readdir(join(target, 'snapshots'))).toEqual([]);
  });

  test('without a readable owner it is cleared too: the process died while it wrote that', async () => {
    const staging = await leaveHalf(join(root, 'target'), null);
    await writeFile(join(staging, 'owner.json'), '{"pid": 1');
    expect((await inspectTarget(join(root, 'target'))).leftovers).toHaveLength(2);
  });

  test('whose process runs is left alone', async () => {
    await leaveHalf(join(root, 'target'), await readProcessIdentity());
    await expect(inspectTarget(join(root, 'target'))).rejects.toThrow(`process ${process.pid}`);
    await mkdir(join(root, '.third.stdb-restore-000000000000'));
    await writeFile(
      join(root, '.third.stdb-restore-000000000000', 'owner.json'),
      JSON.stringify(await readProcessIdentity()),
    );
    await expect(inspectTarget(join(root, 'third'))).rejects.toThrow(TargetInUseError);
  });

  test('beside a target is told by its whole name: what only begins like one is somebody’s', async () => {
    await mkdir(join(root, '.game.stdb-restore-notes'));
    await mkdir(join(root, '.game.stdb-restore-a.stdb-restore-000000000000'));
    expect((await inspectTarget(join(root, 'game'))).leftovers).toEqual([]);
  });

  test('does not excuse anything else in the target', async () => {
    await leaveHalf(join(root, 'target'), null);
    await writeFile(join(root, 'target', 'notes.txt'), 'mine');
    await expect(inspectTarget(join(root, 'target'))).rejects.toThrow('notes.txt');
  });
});

describe('a database exists', () => {
  test('with a segment longer than its header, or a snapshot; of a server, with any of its replicas', async () => {
    await mkdir(join(root, 'replicas', '7', 'clog'), { recursive: true });
    await writeFile(join(root, 'replicas', '7', 'clog', SEGMENT), Buffer.alloc(10));
    await writeFile(join(root, 'replicas', '7', 'clog', 'other.stdb.log'), 'more than ten bytes');
    expect(await databaseExists(join(root, 'absent'))).toBe(false);
    expect(await databaseExists(root)).toBe(false);
    await writeFile(join(root, 'replicas', '7', 'clog', SEGMENT), Buffer.alloc(11));
    expect(await databaseExists(root)).toBe(true);
    expect(await databaseExists(join(root, 'replicas', '7'))).toBe(true);
    await mkdir(join(root, 'one', 'snapshots', '00000000000000000001.snapshot_dir'), { recursive: true });
    expect(await databaseExists(join(root, 'one'))).toBe(true);
  });
});

test('locks are found by device and inode, not by one of them', () => {
  const locks = '1: FLOCK  ADVISORY  WRITE 77 fd:01:123 0 EOF\n2: POSIX  ADVISORY  READ 78 08:02:124 0 EOF\n';
  const device = (major: bigint, minor: bigint): bigint => (major << 8n) | minor;
  expect(lockState(locks, { device: device(0xfdn, 1n), inode: 123n })).toBe('held');
  expect(lockState(locks, { device: device(8n, 1n), inode: 123n })).toBe('not-seen');
  expect(lockState(locks, { device: device(0xfdn, 1n), inode: 23n })).toBe('not-seen');
  expect(lockState(null, { device: device(0xfdn, 1n), inode: 123n })).toBe('not-seen');
});
