/**
 * Writes a log as a server does, for machines without the engine: `node player.ts --dir DIR --seed N --rate R
 * --segment-size B`. Commits of one or three transactions, flushed in torn pieces, rotation; no snapshot, no compression.
 * After a kill it cuts a torn tail off and goes on. SIGTERM ends it with the `end` line.
 */
import { appendFile, mkdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { txOffset } from '../../src/core/types.ts';
import { encodeCommit } from '../../src/spacetimedb/commit.ts';
import { encodeSegmentHeader } from '../../src/spacetimedb/segment-header.ts';
import { Random } from '../sim/random.ts';
import { readSegments } from '../support/recorded-database.ts';

const { values } = parseArgs({
  options: {
    dir: { type: 'string', default: '' },
    seed: { type: 'string', default: '1' },
    rate: { type: 'string', default: '250' },
    'segment-size': { type: 'string', default: '524288' },
  },
});
const TICK_MS = 20;
const clog = join(values.dir, 'clog');
const random = new Random(Number(values.seed));
const rate = Number(values.rate);
const segmentBytesMax = Number(values['segment-size']);

const say = (event: string, more: Readonly<Record<string, number>> = {}): void => {
  process.stdout.write(`${JSON.stringify({ event, ...more })}\n`);
};

await mkdir(clog, { recursive: true });
await mkdir(join(values.dir, 'snapshots'), { recursive: true });
const found = await readSegments(values.dir);
const newest = found.at(-1);
let next = (found.flatMap(({ commits }) => commits).at(-1)?.lastTx ?? -1n) + 1n;
let path = newest === undefined ? '' : join(clog, newest.name);
let bytes = newest?.bytes.byteLength ?? 0;
// A torn commit would be followed by what no reader could tell from it.
if (newest !== undefined) await truncate(path, bytes);

let isStopping = false;
process.once('SIGTERM', () => (isStopping = true));
say('start');

/** The next commit; its records tell its offset, and no reducer call (the first byte). */
function makeCommit(): { commit: Uint8Array; count: number } {
  const count = random.chance(0.1) ? 3 : 1;
  const words = Buffer.from(`${next} ${random.hex(random.int(4, 300))}`);
  const records = Buffer.concat([Buffer.of(0), words]);
  return { commit: encodeCommit({ version: 1, tx: txOffset(next), count, records }), count };
}

async function append(commit: Uint8Array, count: number): Promise<void> {
  if (path === '' || bytes >= segmentBytesMax) {
    path = join(clog, `${next.toString().padStart(20, '0')}.stdb.log`);
    const header = encodeSegmentHeader({ version: 1 });
    await writeFile(path, header);
    bytes = header.byteLength;
    say('segment');
  }
  const cut = random.chance(0.05) ? random.int(1, commit.byteLength) : commit.byteLength;
  await appendFile(path, commit.subarray(0, cut));
  if (cut < commit.byteLength) await delay(1);
  await appendFile(path, commit.subarray(cut));
  bytes += commit.byteLength;
  next += BigInt(count);
}

const begin = performance.now();
const first = next;
while (!isStopping) {
  const due = first + BigInt(Math.floor(((performance.now() - begin) / 1000) * rate));
  while (next < due && !isStopping) {
    const { commit, count } = makeCommit();
    await append(commit, count);
  }
  await delay(TICK_MS);
}
say('end', { durable: Number(next - 1n) });
