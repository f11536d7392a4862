// Invariant: a file that cannot be read has to stay so, for a time and at several looks, before it is taken for damaged;
// progress, another file, or a long quiet begins that time anew.
import { expect, test } from 'vitest';
import { localFileError } from '../core/errors.ts';
import { diskFiles } from '../core/readable-files.ts';
import { LASTS_MS, UnreadableLog } from './unreadable-log.ts';

const failure = (path: string, code: string) => localFileError('read', path, Object.assign(new Error(code), { code }));
const SEGMENT = '/db/clog/00000000000000000000.stdb.log';
const open = (): UnreadableLog => new UnreadableLog({ files: diskFiles, directory: '/db/clog' });

type Look = readonly [now: number, path: string, code: string, commits: number];
const lastsAfter = (looks: readonly Look[]): boolean[] => {
  const log = open();
  return looks.map(
    ([now, path, code, commits]) => log.note(failure(path, code), { since: now, now, progress: commits }) !== null,
  );
};

test.each<[string, readonly Look[], boolean]>([
  [
    'long enough and often enough',
    [
      [0, SEGMENT, 'EIO', 5],
      [30_000, SEGMENT, 'EIO', 5],
      [LASTS_MS, SEGMENT, 'EIO', 5],
    ],
    true,
  ],
  [
    'too short',
    [
      [0, SEGMENT, 'EIO', 5],
      [30_000, SEGMENT, 'EIO', 5],
      [LASTS_MS - 1, SEGMENT, 'EIO', 5],
    ],
    false,
  ],
  [
    'too seldom',
    [
      [0, SEGMENT, 'EIO', 5],
      [LASTS_MS, SEGMENT, 'EIO', 5],
    ],
    false,
  ],
  [
    'with progress',
    [
      [0, SEGMENT, 'EIO', 5],
      [30_000, SEGMENT, 'EIO', 6],
      [LASTS_MS, SEGMENT, 'EIO', 6],
    ],
    false,
  ],
  [
    'another file',
    [
      [0, `${SEGMENT}x`, 'EIO', 5],
      [30_000, SEGMENT, 'EIO', 5],
      [LASTS_MS, SEGMENT, 'EIO', 5],
    ],
    false,
  ],
  [
    'a long quiet',
    [
      [0, SEGMENT, 'EIO', 5],
      [1_000, SEGMENT, 'EIO', 5],
      [1_000_000, SEGMENT, 'EIO', 5],
    ],
    false,
  ],
  [
    'what is of permissions',
    [
      [0, SEGMENT, 'EACCES', 5],
      [30_000, SEGMENT, 'EACCES', 5],
      [LASTS_MS, SEGMENT, 'EACCES', 5],
    ],
    false,
  ],
  [
    'what is of snapshots',
    [
      [0, '/db/snapshots/1', 'EIO', 5],
      [30_000, '/db/snapshots/1', 'EIO', 5],
      [LASTS_MS, '/db/snapshots/1', 'EIO', 5],
    ],
    false,
  ],
])('%s', (_, looks, lasts) => {
  expect(lastsAfter(looks)).toEqual([...looks.slice(1).map(() => false), lasts]);
});

test('another failure in between changes nothing', () => {
  const log = open();
  const eio = failure(SEGMENT, 'EIO');
  expect(
    [0, 20_000, LASTS_MS].map((now) => {
      log.note(new Error('the store is away'), { since: now, now, progress: 0 });
      return log.note(eio, { since: now, now, progress: 0 });
    }),
  ).toEqual([null, null, eio]);
});

test('two files in turn: each has its own time', () => {
  const log = open();
  const noted = [0, 1, 2].flatMap((turn) =>
    [SEGMENT, `${SEGMENT}x`].map((path) => {
      const now = turn * LASTS_MS;
      return log.note(failure(path, 'EIO'), { since: now, now, progress: 0 }) !== null;
    }),
  );
  expect(noted).toEqual([false, false, false, false, true, true]);
});

test('a disk that takes its time to fail is seen to fail all the same', () => {
  const log = open();
  const minutes = (count: number): number => count * 60_000;
  const noted = [0, 1, 2].map((turn) => {
    const since = turn * minutes(10);
    return log.note(failure(SEGMENT, 'EIO'), { since, now: since + minutes(9), progress: 0 }) !== null;
  });
  expect(noted).toEqual([false, false, true]);
});
