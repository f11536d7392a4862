/** Invariant: whatever a store's names say, a start either has its log or is told why not; it never throws. */
import { expect, test } from 'vitest';
import { micros, txOffset, U64_MAX } from '../core/types.ts';
import { logForSnapshot } from './plan-log.ts';

test('behind the greatest offset of all there is no log', () => {
  const place = { pack: '0'.repeat(64), offset: 0, length: 1, plainLength: 1 };
  const header = {
    databaseIdentity: '0'.repeat(64),
    replicaId: 1n,
    tx: txOffset(U64_MAX),
    time: micros(0n),
    snapshotFile: place,
    commit: null,
    objects: 0,
    plainBytes: 0,
    packs: 1,
  };
  const log = { line: [], objects: new Map(), documents: new Map() };
  expect(logForSnapshot(header.tx, { header, commit: null }, log)).toMatchObject({ hole: null, end: null });
});
