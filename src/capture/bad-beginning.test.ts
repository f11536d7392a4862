// Invariant: a segment whose first commit is bad is no empty one: reading stands before it and says so, and looks again
// only when something has changed.
import { appendFile, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { diskFiles } from '../core/readable-files.ts';
import { micros, type TxOffset, txOffset } from '../core/types.ts';
import { encodeCommit } from '../spacetimedb/commit.ts';
import { formatSegmentName } from '../spacetimedb/file-names.ts';
import { encodeSegmentHeader } from '../spacetimedb/segment-header.ts';
import { beginningOf, LogTailer } from './log-tailer.ts';
import { findDamageAt } from './standing-damage.ts';

const commit = (tx: number): Uint8Array =>
  encodeCommit({ version: 1, tx: txOffset(tx), records: Buffer.from(`commit ${tx}`) });
const segment = (...commits: readonly Uint8Array[]): Uint8Array =>
  Buffer.concat([encodeSegmentHeader({ version: 1 }), ...commits]);

function flipped(bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[25] = (copy[25] ?? 0) ^ 1;
  return copy;
}

async function lastOf(tailer: LogTailer): Promise<TxOffset> {
  for (;;) {
    const before = tailer.position.nextTx;
    for await (const _ of tailer.runs({ plainBytesMax: 1 << 20 }));
    if (tailer.position.nextTx === before) return txOffset(before - 1n);
  }
}

test('regression: bit rot in the first commit of the newest segment is damage, not an empty successor', async () => {
  await using place = await temporaryDirectory();
  await writeFile(place.at(formatSegmentName(txOffset(0n))), segment(commit(0), commit(1)));
  await writeFile(place.at(formatSegmentName(txOffset(2n))), segment(flipped(commit(2)), commit(3), commit(4)));
  const source = { files: diskFiles, directory: place.at() };
  await using tailer = new LogTailer({ ...source, from: beginningOf(txOffset(0n), micros(0n)) });

  expect(await lastOf(tailer)).toBe(1n);
  const { stall, position } = tailer;
  expect(stall?.kind).toBe('bad-crc');
  expect(position.segment).toBe(2n);
  expect(await tailer.hasGrown()).toBe(false);
  if (stall === null) throw new Error('no stall');
  const found = await findDamageAt(source, { stall, position, signal: new AbortController().signal });
  expect(found?.damage.nextTx).toBe(2n);
});

test('regression: a successor that holds the beginning of a commit is looked at again only when it grows', async () => {
  await using place = await temporaryDirectory();
  const successor = place.at(formatSegmentName(txOffset(2n)));
  await writeFile(place.at(formatSegmentName(txOffset(0n))), segment(commit(0), commit(1)));
  await writeFile(successor, segment(commit(2).subarray(0, 20)));
  const from = beginningOf(txOffset(0n), micros(0n));
  await using tailer = new LogTailer({ files: diskFiles, directory: place.at(), from });

  expect(await lastOf(tailer)).toBe(1n);
  expect(await tailer.hasGrown()).toBe(false);
  await appendFile(successor, commit(2).subarray(20));
  expect(await tailer.hasGrown()).toBe(true);
  expect(await lastOf(tailer)).toBe(2n);
});
