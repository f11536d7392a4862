// Invariant: whether a lease is guarded is said of each that somebody has held, held or released, and never more than is known.
import { expect, test } from 'vitest';
import { crc32cValue, micros, txOffset } from '../core/types.ts';
import type { LeaseDescription } from '../daemon/lease-command.ts';
import { makeGenerationName } from '../layout/keys.ts';
import { formatLease } from './lease-text.ts';

const NOW = micros(1_800_000_000_000_000n);

const lease = (mode: LeaseDescription['mode'], released: boolean): LeaseDescription => ({
  prefix: '',
  kind: 'database',
  process: 'alive',
  mode,
  head: {
    generation: makeGenerationName(1, '0123abcd'),
    owner: 'game',
    session: 'a'.repeat(32),
    process: { machineId: null, bootId: null, pidNamespace: null, pid: 7, startTime: '1', host: 'here' },
    acquiredAt: NOW,
    renewedAt: NOW,
    ttlMs: 30_000,
    position: { tx: txOffset(9), crc: crc32cValue(1), segment: txOffset(0), time: NOW },
    released,
  },
});

test.each([
  ['exclusive', true, 'guarded by conditional writes'],
  [null, false, 'guarded by conditional writes, if its holder found that they work here'],
  ['advisory', false, 'not guarded: this store has no conditional writes'],
] as const)('%s, released: %s', (mode, released, says) => {
  const lines = formatLease('s3://b/p', lease(mode, released), NOW).split('\n');
  expect(lines.at(-1)).toBe(`  lease       ${says}`);
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(88);
});
