/**
 * Capture: a log in the page cache is read, its checksums are checked, and it is compressed into log objects, which are
 * thrown away. Promise: at least 70 % of what `zstd -1 -T1` does with the same bytes.
 */
import { join } from 'node:path';
import { LogTailer, beginningOf } from '../src/capture/log-tailer.ts';
import { diskFiles } from '../src/core/readable-files.ts';
import { micros, txOffset } from '../src/core/types.ts';
import type { GenerationName } from '../src/layout/keys.ts';
import { makeGenerationName } from '../src/layout/keys.ts';
import { LogObjectCutter } from '../src/replicate/log-object-cutter.ts';
import { OBJECT_PLAIN_BYTES_MAX } from '../src/replicate/object-size.ts';
import { CLOG_DIR, formatSegmentName } from '../src/spacetimedb/file-names.ts';
import { type Bench, MIB, rate, type Row } from './support/bench.ts';
import { appendLog } from './support/make-database.ts';
import { makeDirectory } from './support/make-directory.ts';
import { runCommand } from './support/run-command.ts';

const ROUNDS = 3;

async function capture(database: string): Promise<{ seconds: number; cpuSeconds: number; stored: number }> {
  const generation: GenerationName = makeGenerationName(1, '00000000');
  const from = beginningOf(txOffset(0), micros(0n));
  await using tailer = new LogTailer({ files: diskFiles, directory: join(database, CLOG_DIR), from });
  const cutter = new LogObjectCutter({ tailer, generation, compressionLevel: 1 });
  const cpu = process.cpuUsage();
  const start = performance.now();
  let stored = 0;
  for (;;) {
    const object = await cutter.next({ plainBytesMax: OBJECT_PLAIN_BYTES_MAX });
    if (object === null) break;
    stored += object.bytes ?? 0;
  }
  const { user, system } = process.cpuUsage(cpu);
  return { seconds: (performance.now() - start) / 1000, cpuSeconds: (user + system) / 1e6, stored };
}

export const captureBench: Bench = {
  name: 'capture',
  async run({ scratch, quick }): Promise<Row[]> {
    const database = await makeDirectory(scratch, 'capture');
    const { bytes } = await appendLog(database, { bytes: (quick ? 64 : 256) * MIB, from: txOffset(0), seed: 1 });
    const segment = join(database, CLOG_DIR, formatSegmentName(txOffset(0)));
    const ours = [];
    const peers = [];
    for (let round = 0; round < ROUNDS; round++) {
      ours.push(await capture(database));
      peers.push(await runCommand(['zstd', '-1', '-T1', '-q', '-c', segment], { discard: true }));
    }
    const [best] = ours.sort((a, b) => a.seconds - b.seconds);
    const [peer] = peers.sort((a, b) => a.seconds - b.seconds);
    if (best === undefined || peer === undefined) throw new Error('no round was run');
    return [
      {
        what: 'capture: read, check CRC, frame, zstd level 1',
        goal: '≥ 70 % of zstd -1 -T1',
        figure: `${rate(bytes, best.seconds)}, ${rate(bytes, best.cpuSeconds)} of CPU: ${((100 * peer.seconds) / best.seconds).toFixed(0)} %`,
        beside: `zstd -1 -T1: ${rate(bytes, peer.seconds)}, ${rate(bytes, peer.cpuSeconds)} of CPU`,
      },
    ];
  },
};
