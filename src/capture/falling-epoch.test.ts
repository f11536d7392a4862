// Invariant: what one reading accepts, a reader of the object that is cut from it accepts too: an epoch that falls ends
// the runs wherever the reading was interrupted.
import { appendFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { diskFiles } from '../core/readable-files.ts';
import { micros, txOffset } from '../core/types.ts';
import { encodeCommit } from '../spacetimedb/commit.ts';
import { formatSegmentName } from '../spacetimedb/file-names.ts';
import { encodeSegmentHeader } from '../spacetimedb/segment-header.ts';
import { beginningOf, LogTailer } from './log-tailer.ts';

const commit = (tx: number, epoch: bigint): Uint8Array =>
  encodeCommit({ version: 1, tx: txOffset(tx), epoch, records: Buffer.from(`commit ${tx}`) });

test.each([true, false])('an epoch falls within a segment (read in between: %s)', async (inBetween) => {
  await using place = await temporaryDirectory();
  const path = place.at(formatSegmentName(txOffset(0n)));
  await appendFile(path, Buffer.concat([encodeSegmentHeader({ version: 1 }), commit(0, 3n)]));
  const from = beginningOf(txOffset(0n), micros(0n));
  await using tailer = new LogTailer({ files: diskFiles, directory: place.at(), from });
  const read = async (): Promise<void> => {
    for await (const run of tailer.runs({ plainBytesMax: 1 << 20 })) expect(run.first).toBe(0n);
  };
  if (inBetween) await read();
  await appendFile(path, Buffer.concat([commit(1, 2n), commit(2, 2n)]));
  await read();
  expect(tailer.position.nextTx).toBe(1n);
  expect(tailer.stall?.kind).toBe('epoch-backwards');
});
