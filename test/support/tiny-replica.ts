/** The smallest replica directory that has everything: two segments, a snapshot with a page and a blob. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { blake3Hex } from '../../src/core/checksum.ts';
import { txOffset } from '../../src/core/types.ts';
import { encodeCommit } from '../../src/spacetimedb/commit.ts';
import {
  CLOG_DIR,
  formatObjectPath,
  formatSegmentName,
  formatSnapshotDirName,
  formatSnapshotFileName,
  SNAPSHOTS_DIR,
} from '../../src/spacetimedb/file-names.ts';
import { hashPage, PAGE_ROW_DATA_BYTES } from '../../src/spacetimedb/page.ts';
import { encodeSegmentHeader } from '../../src/spacetimedb/segment-header.ts';
import { encodeSnapshotFile } from '../../src/spacetimedb/snapshot-file.ts';

export const TINY_IDENTITY = 'c2'.repeat(32);
export const TINY_SNAPSHOT = txOffset(4n);

/** Commits of one transaction each: 0 to 2 in the first segment, 3 to 6 in the second. The snapshot is at 4. */
export async function makeTinyReplica(directory: string): Promise<void> {
  for (const [from, to] of [
    [0n, 2n],
    [3n, 6n],
  ] as const) {
    const parts = [encodeSegmentHeader({ version: 1 })];
    for (let tx = from; tx <= to; tx += 1n) {
      parts.push(encodeCommit({ version: 1, tx: txOffset(tx), records: Buffer.from(`\0transaction ${tx}`) }));
    }
    await writeWhole(join(directory, CLOG_DIR, formatSegmentName(txOffset(from))), Buffer.concat(parts));
  }
  const page = emptyPage();
  const blob = Buffer.from('a large value');
  const snapshot = encodeSnapshotFile({
    databaseIdentity: TINY_IDENTITY,
    replicaId: 7n,
    txOffset: TINY_SNAPSHOT,
    moduleAbiVersion: [7, 0],
    blobs: [{ hash: blake3Hex(blob), uses: 1 }],
    tables: [{ id: 4096, pages: [hashPage(page)] }],
  });
  const snapshotDir = join(directory, SNAPSHOTS_DIR, formatSnapshotDirName(TINY_SNAPSHOT));
  await writeWhole(join(snapshotDir, formatObjectPath(hashPage(page))), page);
  await writeWhole(join(snapshotDir, formatObjectPath(blake3Hex(blob))), blob);
  await writeWhole(join(snapshotDir, formatSnapshotFileName(TINY_SNAPSHOT)), snapshot);
}

/** A page without rows, and without its own hash in it. Layout: FORMAT.md of `spacetimedb/`, "Page". */
function emptyPage(): Uint8Array {
  const fixedHeader = Buffer.alloc(6);
  const bitSetLength = Buffer.alloc(4);
  const varHeader = Buffer.alloc(8);
  const noHash = Buffer.of(1);
  const rowDataLength = Buffer.alloc(4);
  rowDataLength.writeUInt32LE(PAGE_ROW_DATA_BYTES);
  return Buffer.concat([
    fixedHeader,
    bitSetLength,
    varHeader,
    noHash,
    rowDataLength,
    Buffer.alloc(PAGE_ROW_DATA_BYTES),
  ]);
}

async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, bytes);
}
