/**
 * A store to look at: three generations of one database, with levels, a rollback, a branch within an object, a gap that
 * a snapshot stands behind, and a line that was left although it goes on later.
 *
 *   1  first        0 … 299   snapshots at 60 and 280; objects of 10 commits, 0 … 99 in one of level 1 as well
 *   2  rolled-back  from 1 @ 124, within an object; 125 … 199 in one object of level 2
 *   3  takeover     from 2 @ 199; 200 … 249 but for 230 … 239, which are lost; snapshot at 244; the head's
 */
import { join } from 'node:path';
import { type Crc32c, crc32cValue, micros, type TxOffset, txOffset } from '../../src/core/types.ts';
import type { GenerationName } from '../../src/layout/keys.ts';
import type { ReplicaClient } from '../../src/replica/replica-client.ts';
import { encodeCommit } from '../../src/spacetimedb/commit.ts';
import { encodeRecord } from '../../src/spacetimedb/record-prefix.ts';
import { encodeSegmentHeader } from '../../src/spacetimedb/segment-header.ts';
import { ModelDatabase } from './model-database.ts';
import type { RecordedCommit } from './recorded-log.ts';
import { positionOf, StoreBuilder } from './store-builder.ts';

const HEADER = encodeSegmentHeader({ version: 1 });
const SEGMENT = txOffset(0n);
const CALLER = 'c2'.repeat(32);
const SECOND = 1_000_000n;

export const SCENE_BEGIN = 1_763_700_000n * SECOND;
export const BRANCHES = { second: 124, third: 199 } as const;
/** Lost transactions, and the snapshot behind them. */
export const HOLE = { first: 230, last: 239, snapshot: 244 } as const;

export interface BrowseScene {
  readonly generations: readonly [GenerationName, GenerationName, GenerationName];
  /** The head's line, lost commits included. */
  readonly line: readonly RecordedCommit[];
}

/** One transaction each, a second apart; every 25th one calls `wipe`. */
function makeCommits(before: readonly RecordedCommit[], to: number, history: number): RecordedCommit[] {
  const commits = [...before];
  for (let tx = commits.length; tx <= to; tx += 1) {
    const time = micros(SCENE_BEGIN + BigInt(tx) * SECOND);
    const reducer = tx % 25 === 0 ? 'wipe' : 'a_reducer_whose_name_is_long_enough_to_be_cut_on_a_narrow_terminal';
    const records = encodeRecord({ reducer, time, callerIdentity: CALLER, args: Buffer.of(history) });
    const first: TxOffset = txOffset(tx);
    const bytes = encodeCommit({ version: 1, tx: first, records });
    const crc: Crc32c = crc32cValue(new DataView(bytes.buffer).getUint32(bytes.byteLength - 4, true));
    const prev = commits.at(-1)?.crc ?? crc32cValue(0);
    commits.push({ segment: SEGMENT, header: HEADER, bytes, first, last: first, prev, crc, time });
  }
  return commits;
}

/** @param scratch an empty or absent directory, for snapshots */
export async function buildBrowseScene(
  client: ReplicaClient,
  {
    scratch,
    withFormat = true,
    more = 0,
  }: { readonly scratch: string; readonly withFormat?: boolean; readonly more?: number },
): Promise<BrowseScene> {
  const builder = new StoreBuilder(client);
  if (withFormat) await builder.putFormat();
  const first = await builder.putGeneration({ number: 1 });
  const old = makeCommits([], 299, 1);
  await builder.putLog(first, { commits: old, commitsPerObject: 10 });
  await builder.putLog(first, { commits: old.slice(0, 100), level: 1 });
  await putSnapshots({ builder, generation: first, line: old, scratch: join(scratch, '1') }, [60, 280]);

  const second = await builder.putGeneration({ number: 2, reason: 'rolled-back', parent: branch(first, old, 124) });
  const middle = makeCommits(old.slice(0, BRANCHES.second + 1), BRANCHES.third, 2);
  await builder.putLog(second, { commits: middle.slice(BRANCHES.second + 1), level: 2 });

  const third = await builder.putGeneration({ number: 3, parent: branch(second, middle, BRANCHES.third) });
  const line = makeCommits(middle, 249 + more, 3);
  await builder.putLog(third, { commits: line.slice(200, HOLE.first), commitsPerObject: 10 });
  await builder.putLog(third, { commits: line.slice(HOLE.last + 1, 250), commitsPerObject: 5 });
  if (more > 0) await builder.putLog(third, { commits: line.slice(250), alignedFrames: true });
  await putSnapshots({ builder, generation: third, line, scratch: join(scratch, '3') }, [HOLE.snapshot]);
  await builder.putHead(third, line.at(-1) ?? null);
  return { generations: [first, second, third], line };
}

const branch = (generation: GenerationName, commits: readonly RecordedCommit[], tx: number) => ({
  generation,
  position: positionOf(commits[tx] as RecordedCommit),
});

async function putSnapshots(
  place: { builder: StoreBuilder; generation: GenerationName; line: readonly RecordedCommit[]; scratch: string },
  txs: readonly number[],
): Promise<void> {
  const database = new ModelDatabase(place.scratch, { seed: 1 });
  await database.place(place.line);
  for (const at of txs) {
    const tx = txOffset(await database.snapshot(txOffset(at)));
    const commit = place.line[at] ?? null;
    await place.builder.putSnapshot(place.generation, { replicaDir: place.scratch, tx, commit });
  }
}
