// Invariant: commits that are written over the zeros of a preallocated segment are noticed, although no size changes.
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { diskFiles } from '../core/readable-files.ts';
import { micros, txOffset } from '../core/types.ts';
import { encodeCommit } from '../spacetimedb/commit.ts';
import { encodeSegmentHeader } from '../spacetimedb/segment-header.ts';
import { beginningOf, LogTailer } from './log-tailer.ts';
import { isWrittenOver } from './read-run.ts';

const commit = (tx: bigint): Uint8Array =>
  encodeCommit({ version: 1, tx: txOffset(tx), records: Buffer.alloc(50, 'records') });

test('regression: growth within the file', async () => {
  await using place = await temporaryDirectory();
  const path = place.at('00000000000000000000.stdb.log');
  await writeFile(path, Buffer.concat([encodeSegmentHeader({ version: 1 }), commit(0n), Buffer.alloc(10_000)]));
  await using tailer = new LogTailer({
    files: diskFiles,
    directory: join(path, '..'),
    from: beginningOf(txOffset(0), micros(0n)),
  });
  const read = async (): Promise<bigint> => {
    for await (const _ of tailer.runs({ plainBytesMax: 1 << 20 }));
    return tailer.position.nextTx;
  };
  expect(await read()).toBe(1n);
  await read();
  expect(tailer.stall?.kind).toBe('zero');
  expect(await tailer.hasGrown()).toBe(false);
  await using file = await open(path, 'r+');
  await file.write(commit(1n), 0, undefined, tailer.position.at);
  expect(await tailer.hasGrown()).toBe(true);
  expect(await read()).toBe(2n);
});

test('another stall is not looked at', async () => {
  const nobody = null as never;
  expect(await isWrittenOver(nobody, null)).toBe(false);
  expect(await isWrittenOver(nobody, { kind: 'bad-crc', at: 10 as never, bytes: 5 })).toBe(false);
});
