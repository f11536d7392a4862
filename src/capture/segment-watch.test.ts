// Invariant: what a server does to segments that were read is no change; whatever else happens to one of them is.
import { appendFile, copyFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { temporaryDirectory, type TemporaryDirectory } from '../../test/support/temporary-directory.ts';
import { diskFiles } from '../core/readable-files.ts';
import { byteOffset, crc32cValue, txOffset } from '../core/types.ts';
import { encodeCommit } from '../spacetimedb/commit.ts';
import { formatSegmentName } from '../spacetimedb/file-names.ts';
import { encodeSegmentHeader } from '../spacetimedb/segment-header.ts';
import { listSegments } from '../spacetimedb/segments.ts';
import { encodeFrameSync } from '../zstd/frame.ts';
import { SegmentWatch } from './segment-watch.ts';

const header = encodeSegmentHeader({ version: 1 });
const commit = (tx: number, fill = tx): Uint8Array =>
  encodeCommit({ version: 1, tx: txOffset(tx), records: new Uint8Array(40).fill(fill) });
const content = (tx: number, fill?: number): Buffer => Buffer.concat([header, commit(tx, fill), commit(tx + 1, fill)]);
const endOf = (bytes: Buffer) => ({
  at: byteOffset(bytes.byteLength),
  crc: crc32cValue(bytes.readUInt32LE(bytes.byteLength - 4)),
});

let place: TemporaryDirectory;
let watch: SegmentWatch;
const path = (tx: number): string => join(place.at(), formatSegmentName(txOffset(tx)));
/** Segments at 0, 2, 4 and 6; reading is at the end of the one at 4. */
const now = { segment: txOffset(4), ...endOf(content(4)) };
const look = async (): Promise<void> => watch.look(await listSegments(diskFiles, place.at()), now);

beforeEach(async () => {
  place = await temporaryDirectory();
  for (const tx of [0, 2, 4, 6]) await writeFile(path(tx), content(tx));
  watch = new SegmentWatch(diskFiles);
  // The one at 0 was read before this watch began: only its size is known.
  watch.left({ segment: txOffset(2), ...endOf(content(2)) });
  await look();
});
afterEach(async () => {
  await place[Symbol.asyncDispose]();
});

async function replace(tx: number, bytes: Uint8Array): Promise<void> {
  await writeFile(`${path(tx)}.tmp`, bytes);
  await rename(`${path(tx)}.tmp`, path(tx));
}

test.each<[string, () => Promise<void>]>([
  ['nothing', async () => {}],
  ['growth', () => appendFile(path(4), commit(6))],
  ['a cut of the file that is read, which is looked at by its last commit', () => truncate(path(4), 60)],
  ['compression of one that was read', () => replace(2, encodeFrameSync(content(2), { level: 1 }))],
  ['compression of one that was read before', () => replace(0, encodeFrameSync(content(0), { level: 1 }))],
  ['compression of the one that is read', () => replace(4, encodeFrameSync(content(4), { level: 1 }))],
  ['leading segments deleted', () => Promise.all([rm(path(0)), rm(path(2))]).then(() => undefined)],
  ['what is not read yet', () => replace(6, content(6, 9))],
])('%s is no change', async (_, act) => {
  await act();
  await look();
  await look();
});

test.each<[string, () => Promise<void>]>([
  ['another plain file', () => replace(2, content(2))],
  ['another plain file, of one read before', () => replace(0, content(0))],
  ['another plain file in place of the one that is read', () => replace(4, content(4))],
  ['other bytes in zstd', () => replace(2, encodeFrameSync(content(2, 9), { level: 1 }))],
  ['fewer bytes in zstd', () => replace(2, encodeFrameSync(content(2).subarray(0, 70), { level: 1 }))],
  ['more bytes in zstd', () => replace(0, encodeFrameSync(Buffer.concat([content(0), commit(2)]), { level: 1 }))],
  ['a closed one cut', () => truncate(path(2), 70)],
  ['a closed one longer, of one read before', () => appendFile(path(0), commit(2))],
  ['one gone from the middle', () => rm(path(2))],
  ['the one that is read gone, older ones not', () => rm(path(4))],
])('%s is a change', async (_, act) => {
  await act();
  await expect(look()).rejects.toMatchObject({ code: 'SOURCE_DIVERGED' });
});

test('an empty last segment may go', async () => {
  await copyFile(path(6), path(8));
  await truncate(path(6), 10);
  const last = { segment: txOffset(8), at: byteOffset(10), crc: crc32cValue(0) };
  const anew = new SegmentWatch(diskFiles);
  await anew.look(await listSegments(diskFiles, place.at()), last);
  await rm(path(6));
  await anew.look(await listSegments(diskFiles, place.at()), last);
});
