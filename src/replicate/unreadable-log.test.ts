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
  return looks.map(([now, path, code, commits]) => log.note(failure(path, code), { now, commits }) !== null);
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
      log.note(new Error('the store is away'), { now, commits: 0 });
      return log.note(eio, { now, commits: 0 });
    }),
  ).toEqual([null, null, eio]);
});
