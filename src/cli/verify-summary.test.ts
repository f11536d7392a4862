/** Invariant: a check that did not reach everything never says that every byte was read, and does not end with 0. */
import { expect, test } from 'vitest';
import { EXIT } from '../core/errors.ts';
import { txOffset } from '../core/types.ts';
import { exitCodeOfVerify, type VerifiedDestination } from '../daemon/verify-command.ts';
import type { Finding } from '../verify/finding.ts';
import { uncheckedFinding } from '../verify/unchecked.ts';
import { formatVerified } from './verify-summary.ts';

const RANGE = {
  first: txOffset(0n),
  from: null,
  fromTime: null,
  to: { tx: txOffset(9n), crc: null, time: null, timeIsExact: true },
  base: 'log',
  snapshot: null,
  granularity: 'commit',
} as const;

const SIZES = { generations: 1, objects: 3, bytes: 100, objectsRead: 3, bytesRead: 100 };

const verified = (findings: readonly Finding[]): VerifiedDestination => {
  const database = { replicaId: null, isEmpty: false, ...SIZES, findings, recoverable: [RANGE] };
  const result = { kind: 'database', findings, databases: [database], images: null, durationMs: 5 } as const;
  return { source: 'file:///backup', result };
};

test('all of it was read', () => {
  const one = verified([]);
  expect(formatVerified(one, { deep: true })).toContain('transactions 0 to 9, every byte read');
  expect(exitCodeOfVerify([one])).toBe(EXIT.ok);
});

test('a part was more than the memory holds', () => {
  const one = verified([uncheckedFinding('packs/x.pack', 'the blob y', 100 * 1024 * 1024 - 1)]);
  const text = formatVerified(one, { deep: true });
  expect(text).not.toContain('every byte read');
  expect(text).toContain('transactions 0 to 9, not all of it checked\n');
  expect(text).toContain('it needs -memory 100MiB');
  expect(exitCodeOfVerify([one])).toBe(EXIT.corruption);
});
