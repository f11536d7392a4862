/**
 * Invariant: ready means that every destination has answered and no database has stopped; waiting databases and a lag
 * make nothing unready. Every combination of the facts is decided.
 */
import { describe, expect, test } from 'vitest';
import type {
  DatabaseState,
  DatabaseStatus,
  ServerImageState,
  ServerImageStatus,
  StandbyStatus,
} from '../core/status.ts';
import { micros } from '../core/types.ts';
import { type Fitness, judgeHealth } from './health.ts';

const base: DatabaseStatus = {
  database: '/stdb/replicas/1',
  destination: 'file:///backup',
  state: 'streaming',
  storeAnswered: true,
  generation: null,
  local: null,
  stored: null,
  lagTransactions: 0,
  lagSeconds: 0,
  lastSuccess: micros(10n),
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
};
const failed = (at: bigint) => ({ code: 'STORE_UNAVAILABLE', message: 'no answer', at: micros(at) });

/** state, answered, error (none, before or after the last success), lag → health, ready */
function expected(state: DatabaseState, answered: boolean, error: string, lag: number): [Fitness, boolean] {
  if (state === 'stopped') return ['stopped', false];
  if (state === 'waiting') return ['waiting', true];
  if (!answered) return ['starting', false];
  if (error === 'after' || lag > 60) return ['degraded', true];
  return ['ok', true];
}

describe.each(['waiting', 'starting', 'streaming', 'stopped'] as const)('%s', (state) => {
  for (const storeAnswered of [false, true]) {
    for (const error of ['none', 'before', 'after']) {
      for (const lagSeconds of [0, 60, 61]) {
        test(`answered ${storeAnswered}, error ${error}, lag ${lagSeconds} s`, () => {
          const lastError = error === 'none' ? null : failed(error === 'before' ? 9n : 11n);
          const health = judgeHealth([{ ...base, state, storeAnswered, lastError, lagSeconds }]);
          expect([health.health, health.ready]).toEqual(expected(state, storeAnswered, error, lagSeconds));
          expect(health.databases[0]?.reason === null).toBe(health.health === 'ok');
        });
      }
    }
  }
});

test('the worst database decides, and each is named with its reason', () => {
  const health = judgeHealth([
    base,
    { ...base, database: '/b', state: 'stopped', lastError: failed(11n) },
    { ...base, database: '/c', state: 'waiting', storeAnswered: false },
  ]);
  expect(health).toMatchObject({ ready: false, health: 'stopped' });
  expect(health.databases.map(({ database, health: own, reason }) => [database, own, reason])).toEqual([
    ['/stdb/replicas/1', 'ok', null],
    ['/b', 'stopped', 'STORE_UNAVAILABLE: no answer'],
    ['/c', 'waiting', 'the database has no commit log yet'],
  ]);
});

test('waiting databases alone are ready; none at all is still starting', () => {
  expect(judgeHealth([{ ...base, state: 'waiting', storeAnswered: false }])).toMatchObject({ ready: true });
  expect(judgeHealth([])).toEqual({ ready: false, health: 'starting', databases: [], servers: [] });
});

const image: ServerImageStatus = {
  dataDirectory: '/stdb',
  destination: 'file:///backup',
  state: 'watching',
  storeAnswered: true,
  generation: null,
  leaseMode: null,
  lastImage: null,
  imagesStored: 0,
  programsStored: 0,
  pendingSeconds: 0,
  lastSuccess: micros(10n),
  lastError: null,
};

describe('a server’s own files', () => {
  const states: [ServerImageState, boolean, number, Fitness, boolean][] = [
    ['waiting', false, 0, 'waiting', true],
    ['starting', false, 0, 'starting', false],
    ['starting', true, 0, 'ok', true],
    ['copying', true, 300, 'ok', true],
    ['copying', true, 301, 'degraded', true],
    ['watching', true, 0, 'ok', true],
    ['stopped', true, 0, 'stopped', false],
  ];
  test.each(states)('%s, answered %s, %i s pending', (state, storeAnswered, pendingSeconds, fitness, ready) => {
    const health = judgeHealth([base], [{ ...image, state, storeAnswered, pendingSeconds }]);
    expect([health.health, health.ready]).toEqual([fitness, ready]);
    expect(health.servers[0]?.reason === null).toBe(fitness === 'ok');
    expect(health.databases[0]?.health).toBe('ok');
  });

  test('an error after the last success', () => {
    const [one] = judgeHealth([], [{ ...image, lastError: failed(11n) }]).servers;
    expect(one).toMatchObject({ health: 'degraded', reason: 'STORE_UNAVAILABLE: no answer' });
  });
});

describe('a standby', () => {
  const standby: StandbyStatus = {
    directory: '/standby',
    destination: 'file:///backup',
    state: 'following',
    storeAnswered: true,
    generation: null,
    position: null,
    lagTransactions: 0,
    lagSeconds: 0,
    lastSuccess: micros(10n),
    silentSeconds: 1,
    lastError: null,
    counters: { logObjects: 0, logBytesStored: 0 },
  };

  test.each<[string, Partial<StandbyStatus>, Fitness, boolean]>([
    ['as it should be', {}, 'ok', true],
    ['restoring', { state: 'restoring' }, 'starting', false],
    ['without an answer', { storeAnswered: false }, 'starting', false],
    ['ahead of the backup', { state: 'waiting' }, 'degraded', true],
    ['silent', { silentSeconds: 61 }, 'degraded', true],
    ['behind', { lagSeconds: 61 }, 'degraded', true],
    ['stopped', { state: 'stopped', lastError: failed(20n) }, 'stopped', false],
  ])('%s', (_, facts, health, ready) => {
    const judged = judgeHealth([], [], [{ ...standby, ...facts }]);
    expect([judged.health, judged.ready]).toEqual([health, ready]);
    expect(judged.standbys?.[0]).toMatchObject({ directory: '/standby', health });
    expect(judged.standbys?.[0]?.reason === null).toBe(health === 'ok');
  });
});
