/**
 * Random backups with points to restore to: several generations that branch anywhere, objects of levels 0 to 2, commits of
 * several transactions, times that jump back, snapshots. What is right at each point is told by the commits themselves.
 */
import { join } from 'node:path';
import { type Crc32c, crc32cValue, type Micros, micros, type TxOffset, txOffset } from '../../src/core/types.ts';
import type { GenerationName } from '../../src/layout/keys.ts';
import type { ReplicaClient } from '../../src/replica/replica-client.ts';
import { encodeCommit } from '../../src/spacetimedb/commit.ts';
import { encodeRecord } from '../../src/spacetimedb/record-prefix.ts';
import { encodeSegmentHeader } from '../../src/spacetimedb/segment-header.ts';
import { Random } from '../sim/random.ts';
import { ModelDatabase } from './model-database.ts';
import type { RecordedCommit } from './recorded-log.ts';
import { positionOf, StoreBuilder } from './store-builder.ts';

const HEADER = encodeSegmentHeader({ version: 1 });
export const REDUCERS = ['move', 'pay', 'tick'] as const;
const RARE = 'wipe';

/** A commit and what its first record says. */
export interface ModelCommit extends RecordedCommit {
  readonly reducer: string | null;
  readonly ownTime: Micros | null;
}

export interface PointStore {
  readonly builder: StoreBuilder;
  readonly generations: readonly GenerationName[];
  /** Of each generation's line: all of its commits, ascending. */
  readonly lines: readonly (readonly ModelCommit[])[];
}

export interface PointStoreOptions {
  readonly client: ReplicaClient;
  /** Empty or absent; snapshots are made there. */
  readonly scratch: string;
  readonly seed: number;
  readonly snapshots?: boolean;
}

/** Commits that go on where `before` ends. */
function makeCommits(random: Random, before: readonly ModelCommit[], count: number): ModelCommit[] {
  const made: ModelCommit[] = [...before];
  for (let index = 0; index < count; index += 1) {
    const last = made.at(-1);
    const first = txOffset((last?.last ?? -1n) + 1n);
    const transactions = random.chance(0.25) ? random.int(2, 6) : 1;
    const hasInputs = !random.chance(0.1);
    const step = BigInt(random.chance(0.15) ? -random.int(1, 5_000_000) : random.int(0, 2_000_000));
    const base = made.findLast(({ ownTime }) => ownTime !== null)?.ownTime ?? micros(1_700_000_000_000_000n);
    const ownTime = hasInputs ? micros(base + step) : null;
    const reducer = hasInputs ? (random.chance(0.03) ? RARE : random.pick(REDUCERS)) : null;
    const args = random.bytes(random.int(0, 60));
    const record =
      ownTime === null || reducer === null
        ? Buffer.concat([Buffer.of(0), args])
        : encodeRecord({ reducer, time: ownTime, args });
    const bytes = encodeCommit({ version: 1, tx: first, count: transactions, records: record });
    const rotates = last === undefined || random.chance(0.06);
    made.push({
      segment: rotates ? first : last.segment,
      header: HEADER,
      bytes,
      first,
      last: txOffset(first + BigInt(transactions) - 1n),
      prev: last?.crc ?? crc32cValue(0),
      crc: crcOf(bytes),
      time: micros(later(last?.time ?? 0n, ownTime ?? 0n)),
      reducer,
      ownTime,
    });
  }
  return made;
}

const later = (a: bigint, b: bigint): bigint => (a > b ? a : b);

const crcOf = (commit: Uint8Array): Crc32c =>
  crc32cValue(new DataView(commit.buffer, commit.byteOffset).getUint32(commit.byteLength - 4, true));

export async function buildPointStore({
  client,
  scratch,
  seed,
  snapshots = true,
}: PointStoreOptions): Promise<PointStore> {
  const random = new Random(seed);
  const builder = new StoreBuilder(client);
  await builder.putFormat();
  const generations: GenerationName[] = [];
  const lines: ModelCommit[][] = [];
  const count = random.int(1, 4);
  for (let number = 1; number <= count; number += 1) {
    const before = number === 1 ? -1 : random.int(0, lines.length - 1);
    const older = lines[before] ?? [];
    const kept = before < 0 ? [] : older.slice(0, random.int(1, older.length));
    const line = makeCommits(
      random,
      kept,
      number === count ? random.int(0, 50) + (before < 0 ? 5 : 0) : random.int(5, 50),
    );
    const branch = kept.at(-1);
    const parent = branch && { generation: generations[before] as GenerationName, position: positionOf(branch) };
    const generation = await builder.putGeneration({ number, parent: parent ?? null });
    const own = line.slice(kept.length);
    await putLevels(random, { builder, generation, own });
    if (snapshots) await putSnapshots(random, { builder, generation, line, scratch: join(scratch, `${number}`) });
    generations.push(generation);
    lines.push(line);
  }
  await builder.putHead(generations.at(-1) as GenerationName, lines.at(-1)?.at(-1) ?? null);
  return { builder, generations, lines };
}

/** Every commit in level 0; some also in longer objects, which begin and end at ends of level 0. */
async function putLevels(
  random: Random,
  { builder, generation, own }: { builder: StoreBuilder; generation: GenerationName; own: readonly ModelCommit[] },
): Promise<void> {
  for (let at = 0; at < own.length; ) {
    const length = random.int(1, 12);
    const commits = own.slice(at, at + length);
    const all = random.chance(0.5);
    if (all || !random.chance(0.4)) await builder.putLog(generation, { commits, commitsPerObject: random.int(1, 5) });
    else await builder.putLog(generation, { commits, level: 1 });
    if (all) await builder.putLog(generation, { commits, level: random.int(1, 2) });
    at += length;
  }
}

async function putSnapshots(
  random: Random,
  place: { builder: StoreBuilder; generation: GenerationName; line: readonly ModelCommit[]; scratch: string },
): Promise<void> {
  const { builder, generation, line, scratch } = place;
  const wanted = line.filter(() => random.chance(0.06)).slice(-3);
  if (wanted.length === 0) return;
  const database = new ModelDatabase(scratch, { seed: 1 });
  await database.place(line);
  for (const commit of wanted) {
    const tx: TxOffset = txOffset(await database.snapshot(commit.last));
    await builder.putSnapshot(generation, { replicaDir: scratch, tx, commit });
  }
}

/** What a restore to `time` must end with; null where the line begins later, or has no time yet. */
export function lastNotLater(line: readonly ModelCommit[], time: bigint): ModelCommit | null {
  const index = line.findIndex((commit) => commit.time > time);
  const last = (index < 0 ? line.at(-1) : line[index - 1]) ?? null;
  return last !== null && last.time > 0n ? last : null;
}
