// Invariant: an object that reads the source while it is sent can be sent whatever happened to the file's name meanwhile.
import { zstdCompressSync } from 'node:zlib';
import { rename, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { COMMIT_BYTES_IN_MEMORY_MAX } from '../capture/commit-run.ts';
import { beginningOf, LogTailer } from '../capture/log-tailer.ts';
import { ByteBudget } from '../core/byte-budget.ts';
import { systemClock } from '../core/clock.ts';
import { silentLog } from '../core/log.ts';
import { diskFiles } from '../core/readable-files.ts';
import { micros, txOffset } from '../core/types.ts';
import { makeGenerationName, parseKey } from '../layout/keys.ts';
import { MemoryReplicaClient } from '../replica/memory/memory-replica-client.ts';
import { encodeCommit } from '../spacetimedb/commit.ts';
import { formatSegmentName } from '../spacetimedb/file-names.ts';
import { encodeSegmentHeader } from '../spacetimedb/segment-header.ts';
import { HeadLease } from './head-lease.ts';
import { LogObjectCutter } from './log-object-cutter.ts';
import { LogUploader } from './log-uploader.ts';
import { identifyWriter } from './writer.ts';

test('regression: a long commit is sent although its segment is compressed in place before its turn', async () => {
  await using place = await temporaryDirectory();
  const path = place.at(formatSegmentName(txOffset(0)));
  const commit = (tx: number, bytes: number): Uint8Array =>
    encodeCommit({ version: 1, tx: txOffset(tx), records: new Uint8Array(bytes) });
  const content = [encodeSegmentHeader({ version: 1 }), commit(0, 100), commit(1, COMMIT_BYTES_IN_MEMORY_MAX + 1)];
  await writeFile(path, Buffer.concat(content));

  const client = new MemoryReplicaClient();
  await using tailer = new LogTailer({
    files: diskFiles,
    directory: place.at(),
    from: beginningOf(txOffset(0), micros(0n)),
  });
  const generation = makeGenerationName(1, '00000000');
  const { owner, session, process } = await identifyWriter({ owner: 'me', version: '0' });
  const now = micros(0n);
  const head = { generation, owner, session, process, acquiredAt: now, renewedAt: now, ttlMs: 60_000, position: null };
  const lease = await HeadLease.take(
    { client, clock: systemClock, log: silentLog },
    { ...head, released: false },
    { replaces: null },
  );
  const cutter = new LogObjectCutter({ tailer, generation, compressionLevel: 1 });
  const next = cutter.next.bind(cutter);
  let cuts = 0;
  cutter.next = async (options) => {
    const object = await next(options);
    // A server replaces the file by its bytes in zstd between the two objects.
    if ((cuts += 1) === 1) {
      await writeFile(`${path}.tmp`, zstdCompressSync(Buffer.concat(content)));
      await rename(`${path}.tmp`, path);
    }
    return object;
  };
  const uploader = new LogUploader({
    client,
    lease,
    cutter,
    budget: new ByteBudget(1 << 26),
    stored: null,
    availableBytes: () => tailer.bytesAhead(),
    lookAround: () => tailer.lookAround(),
    isInNewestSegment: () => tailer.isInNewestSegment,
    onStored: () => {},
  });
  await uploader.upload({ signal: new AbortController().signal });
  await uploader.upload({ signal: new AbortController().signal });
  expect(uploader.stored?.tx).toBe(1n);
  const ends: bigint[] = [];
  for await (const { key } of client.list('generations/')) {
    const parsed = parseKey(key);
    if (parsed?.kind === 'log') ends.push(parsed.name.last);
  }
  expect(ends).toEqual([0n, 1n]);
});
