/**
 * The first copy of a database, and an increment of 10.5 MB of log and a snapshot with 100 more objects: time, requests
 * and bytes of `replicate -once`, beside restic and rclone. Promises: no slower than restic, at most 60 and 9 requests,
 * no more bytes than 530 and 9.4 MB.
 */
import { txOffset } from '../src/core/types.ts';
import { type Bench, type BenchContext, MB, megabytes, type Row, seconds } from './support/bench.ts';
import type { Traffic } from './support/bench-store.ts';
import { type BigDatabase, bigDatabase, replicateOnce } from './support/big-database.ts';
import { appendLog, writeSnapshot } from './support/make-database.ts';
import { makeDirectory } from './support/make-directory.ts';
import { openPeers, type Peer } from './support/peers.ts';
import type { CommandCost } from './support/run-command.ts';

const INCREMENT_LOG_BYTES = 10.5 * MB;
const INCREMENT_OBJECTS = 100;

/** The access log does not tell the length of a multipart upload's parts. */
const describe = ({ seconds: time, cpuSeconds }: CommandCost, { requests, bytesPut, operations }: Traffic): string =>
  `${seconds(time)} (${cpuSeconds.toFixed(1)} CPU-s), ${requests} requests, ${megabytes(bytesPut)}` +
  (operations.includes('UploadPart') ? ' and what it put in parts' : '');

async function grow({ path, nextTx, snapshotTx, objects }: BigDatabase): Promise<void> {
  const first = await appendLog(path, { bytes: INCREMENT_LOG_BYTES / 2, from: nextTx, seed: 3 });
  const tx = txOffset(first.nextTx - 1n);
  await writeSnapshot(path, { tx, objects: objects + INCREMENT_OBJECTS, linkTo: { tx: snapshotTx, objects } });
  await appendLog(path, { bytes: INCREMENT_LOG_BYTES / 2, from: first.nextTx, seed: 4 });
}

async function run(context: BenchContext): Promise<Row[]> {
  const { s3, scratch, say, quick } = context;
  const database = await bigDatabase(context);
  const fileUrl = `file://${await makeDirectory(scratch, 'copy')}`;
  const s3Url = s3?.url(await s3.makeBucket(), 'db') ?? null;
  const peers = s3 === null ? [] : await openPeers(s3, scratch);
  if (peers.length < 2) say('of restic and rclone, those that are not on PATH are not measured');

  const measured = async (name: string, work: () => Promise<CommandCost>): Promise<string> => {
    const mark = (await s3?.mark()) ?? 0;
    const cost = await work();
    const traffic = (await s3?.trafficSince(mark)) ?? null;
    return traffic === null ? `${name} ${seconds(cost.seconds)}` : `${name}${describe(cost, traffic)}`;
  };
  const round = async (what: string, goals: { s3: string; file: string }, rivals: readonly Peer[]): Promise<Row[]> => {
    const ours =
      s3Url === null ? null : await measured('', () => replicateOnce(context, { database: database.path, url: s3Url }));
    const beside: string[] = [];
    for (const peer of rivals) beside.push(await measured(`${peer.name} `, () => peer.copy(database.path)));
    const file = await replicateOnce(context, { database: database.path, url: fileUrl });
    return [
      ...(ours === null
        ? []
        : [{ what: `${what}, to S3`, goal: goals.s3, figure: ours, beside: beside.join('; ') || '–' }]),
      {
        what: `${what}, to file`,
        goal: goals.file,
        figure: `${seconds(file.seconds)} (${file.cpuSeconds.toFixed(1)} CPU-s)`,
        beside: '–',
      },
    ];
  };
  const scaled = quick ? ' (for a database of 8 times the size)' : '';
  const first = await round(
    `first copy: ${database.description}`,
    { s3: `restic's time, ≤ 60 requests, ≤ 530 MB${scaled}`, file: '–' },
    peers,
  );
  await grow(database);
  // rclone puts the whole log again, which takes longer than all the rest of this.
  const then = await round(
    'then +10.5 MB of log and a snapshot with +100 objects',
    { s3: '≤ 9 requests, ≤ 9.4 MB', file: '–' },
    peers.filter(({ name }) => name !== 'rclone'),
  );
  return [...first, ...then];
}

export const firstCopyBench: Bench = { name: 'first-copy', run };
