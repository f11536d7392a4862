// Invariant: a log that goes while it is compared is one that is looked at again, not a bug of ours; and a system call
// that fails is told with its path, whichever question it answered.
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { copyVector } from '../../test/vectors/vectors.ts';
import { LocalFileError, SourceDivergedError } from '../core/errors.ts';
import { diskFiles, type ReadableFiles } from '../core/readable-files.ts';
import { crc32cValue, micros, txOffset } from '../core/types.ts';
import { compareWithLocalLog } from './local-log.ts';
import { beginningOf, LogTailer } from './log-tailer.ts';

test('a log without any segment is gone, not an empty comparison', async () => {
  await using place = await temporaryDirectory();
  const ends = [{ tx: txOffset(3n), crc: crc32cValue(1) }];
  const compared = compareWithLocalLog({ files: diskFiles, directory: place.at('clog') }, ends, { time: micros(0n) });
  await expect(compared).rejects.toThrow(SourceDivergedError);
});

test.each(['hasGrown', 'extent', 'bytesAhead'] as const)(
  '%s tells of a failed call as of one of this path',
  async (ask) => {
    await using place = await temporaryDirectory();
    copyVector('v2-small', place.at('replica'));
    let broken = false;
    const files: ReadableFiles = {
      ...diskFiles,
      facts: (path) => {
        if (!broken) return diskFiles.facts(path);
        return Promise.reject(Object.assign(new Error('EIO: i/o error'), { code: 'EIO' }));
      },
    };
    const from = beginningOf(txOffset(0n), micros(0n));
    await using tailer = new LogTailer({ files, directory: place.at('replica', 'clog'), from });
    for await (const run of tailer.runs({ plainBytesMax: 1 })) expect(run.first).toBe(0n);
    broken = true;
    await expect(tailer[ask]()).rejects.toThrow(LocalFileError);
  },
);
