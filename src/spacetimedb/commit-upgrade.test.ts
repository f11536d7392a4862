/**
 * Invariant: however the bytes are split, each commit of version 0 becomes the commit of version 1 with the same offset,
 * count and records; a commit whose own checksum is wrong becomes nothing.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cutInto } from '../../test/support/pieces.ts';
import { CorruptionError } from '../core/errors.ts';
import { txOffset } from '../core/types.ts';
import { type CommitFields, encodeCommit } from './commit.ts';
import { CommitUpgrade } from './commit-upgrade.ts';

const commit = fc.record({
  tx: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(txOffset),
  count: fc.integer({ min: 0, max: 65_535 }),
  records: fc.uint8Array({ maxLength: 300 }),
});

const encodeAll = (commits: readonly Omit<CommitFields, 'version'>[], version: 0 | 1): Buffer =>
  Buffer.concat(commits.map((fields) => encodeCommit({ ...fields, version })));

test('every commit keeps what it says, in any split', () => {
  fc.assert(
    fc.property(fc.array(commit, { maxLength: 6 }), fc.array(fc.nat({ max: 40 })), (commits, sizes) => {
      const upgrade = new CommitUpgrade();
      const old = encodeAll(commits, 0);
      const made = Buffer.concat(cutInto(old, sizes).map((piece) => upgrade.push(piece)));
      expect(made.equals(encodeAll(commits, 1))).toBe(true);
      expect(upgrade.isComplete).toBe(true);
    }),
  );
});

test('cut anywhere within a commit it is not complete', () => {
  const old = encodeAll([{ tx: txOffset(7n), records: Buffer.from('records') }], 0);
  for (let bytes = 1; bytes < old.byteLength; bytes += 1) {
    const upgrade = new CommitUpgrade();
    upgrade.push(old.subarray(0, bytes));
    expect(upgrade.isComplete).toBe(false);
  }
});

test('a flipped bit anywhere, but in the length of the records, is found', () => {
  const old = encodeAll([{ tx: txOffset(7n), records: Buffer.from('records') }], 0);
  for (const [index, byte] of old.entries()) {
    if (index >= 10 && index < 14) continue;
    const bad = Buffer.from(old);
    bad[index] = byte ^ 4;
    expect(() => new CommitUpgrade().push(bad)).toThrow(CorruptionError);
  }
});
