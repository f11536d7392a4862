// Invariant: a pass ends with how far each database is stored; what failed is never told as stored.
import { expect, test } from 'vitest';
import { type Log, silentLog } from '../core/log.ts';
import type { DatabaseStatus, ServerImageStatus } from '../core/status.ts';
import { crc32cValue, micros, txOffset } from '../core/types.ts';
import { sayPass } from './pass-summary.ts';

const DESTINATION = 's3://b/p?endpoint=http://127.0.0.1:9';

const database = (name: string, tx: number | null): DatabaseStatus => ({
  database: name,
  destination: DESTINATION,
  state: 'stopped',
  storeAnswered: true,
  generation: null,
  local: null,
  stored: tx === null ? null : { tx: txOffset(tx), crc: crc32cValue(1), time: micros(1n) },
  lagTransactions: 0,
  lagSeconds: 0,
  lastSuccess: null,
  lastError: null,
  newestSnapshot: null,
  counters: {
    commits: 0,
    logObjects: 0,
    logBytesPlain: 0,
    logBytesStored: 0,
    snapshots: 0,
    packs: 0,
    packBytesStored: 0,
  },
});

const image = (success: bigint | null, failure: bigint | null): ServerImageStatus => ({
  dataDirectory: '/data',
  destination: DESTINATION,
  state: 'stopped',
  storeAnswered: true,
  generation: null,
  leaseMode: null,
  lastImage: null,
  imagesStored: 0,
  programsStored: 0,
  pendingSeconds: 0,
  lastSuccess: success === null ? null : micros(success),
  lastError: failure === null ? null : { code: 'X', message: 'bad', at: micros(failure) },
});

function told(databases: DatabaseStatus[], images: ServerImageStatus[], failed: readonly string[] = []): string[] {
  const said: string[] = [];
  const log: Log = {
    ...silentLog,
    info: (text) => void said.push(text),
    warn: (text) => void said.push(`warn: ${text}`),
  };
  const outcomes = databases
    .filter(({ database: name }) => name !== 'left out')
    .map(({ database: name }) => ({
      service: `${name} → ${DESTINATION}`,
      error: failed.includes(name) ? new Error('no') : null,
    }));
  sayPass({ databases, images, outcomes, log });
  return said;
}

test('of each database', () => {
  const all = [
    database('a', 299),
    database('b', null),
    database('c', 7),
    database('d', null),
    database('left out', null),
  ];
  expect(told(all, [], ['c', 'd'])).toEqual([
    'all is stored up to transaction 299',
    'all is stored: there is no transaction yet',
    'warn: not all is stored: the log is, up to transaction 7',
    'warn: not all is stored: nothing is known to be',
  ]);
});

test('of the image of a server', () => {
  const whole = 'the image of the server is up to date';
  const stale = 'warn: the newest image of the server is not up to date';
  expect(told([], [image(5n, null), image(5n, 4n), image(5n, 6n), image(null, 6n), image(null, null)])).toEqual([
    whole,
    whole,
    stale,
    stale,
  ]);
});
