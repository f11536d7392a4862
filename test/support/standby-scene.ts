/** A store in memory that grows by hand, and a standby of it: for the tests of following. */
import { setTimeout as delay } from 'node:timers/promises';
import { crc32c } from '../../src/core/checksum.ts';
import { ByteBudget } from '../../src/core/byte-budget.ts';
import { systemClock } from '../../src/core/clock.ts';
import { silentLog } from '../../src/core/log.ts';
import { crc32cValue } from '../../src/core/types.ts';
import type { GenerationName } from '../../src/layout/keys.ts';
import { type FollowOptions, Standby } from '../../src/restore/follow/follow.ts';
import { vectorDirectory } from '../vectors/vectors.ts';
import { type RecordedCommit, readRecordedLog } from './recorded-log.ts';
import { RestoreScene } from './restore-scene.ts';
import { commitsBetween, StoreBuilder } from './store-builder.ts';

/** 300 transactions, of which the 147th begins the second segment. */
const SOURCE = vectorDirectory('v2-small');
export const LAST = 299n;

export class StandbyScene implements AsyncDisposable {
  readonly scene: RestoreScene;
  readonly builder: StoreBuilder;
  readonly commits: readonly RecordedCommit[];
  readonly generation: GenerationName;

  private constructor(scene: RestoreScene, facts: Pick<StandbyScene, 'builder' | 'commits' | 'generation'>) {
    this.scene = scene;
    this.builder = facts.builder;
    this.commits = facts.commits;
    this.generation = facts.generation;
  }

  /** Nothing but a generation is stored. */
  static async open(): Promise<StandbyScene> {
    const scene = await RestoreScene.open();
    const builder = new StoreBuilder(scene.client);
    await builder.putFormat();
    const generation = await builder.putGeneration({ number: 1 });
    return new StandbyScene(scene, { builder, commits: await readRecordedLog(SOURCE), generation });
  }

  get target(): string {
    return this.scene.target;
  }

  between(from: bigint, to: bigint): readonly RecordedCommit[] {
    return commitsBetween(this.commits, from, to);
  }

  /** Stores these transactions, and renews the head. The objects' keys. */
  async store(
    from: bigint,
    to: bigint,
    options: { commitsPerObject?: number; level?: number; generation?: GenerationName } = {},
  ): Promise<string[]> {
    const { generation = this.generation, ...rest } = options;
    const commits = this.between(from, to);
    const keys = await this.builder.putLog(generation, { commits, ...rest });
    await this.builder.putHead(generation, commits.at(-1) ?? null);
    return keys;
  }

  /** Stores the source's snapshot at 180. */
  async storeSnapshot(): Promise<void> {
    const [commit = null] = this.between(180n, 180n);
    await this.builder.putSnapshot(this.generation, { replicaDir: SOURCE, tx: 180n, commit });
  }

  /** What is right in the standby's `snapshots/` when that snapshot is in it, and no other. */
  expectSnapshot(): Promise<void> {
    return this.scene.expectSnapshot(SOURCE, 180n);
  }

  standby(options: Partial<FollowOptions> = {}): Standby {
    return new Standby({
      client: this.scene.client,
      directory: this.target,
      lock: () => Promise.resolve({ check: () => Promise.resolve(), [Symbol.asyncDispose]: () => Promise.resolve() }),
      intervalMs: 2,
      parallelism: 4,
      budget: new ByteBudget(16 * 1024 * 1024),
      clock: systemClock,
      log: silentLog,
      ...options,
    });
  }

  /** Runs a standby until it has reached `tx`, and ends it well. */
  async followTo(tx: bigint, options: Partial<FollowOptions> = {}): Promise<void> {
    await this.whileFollowing(async (reaches) => reaches(tx), options);
  }

  async whileFollowing(
    work: (reaches: (tx: bigint) => Promise<void>, standby: Standby) => Promise<void>,
    options: Partial<FollowOptions> = {},
  ): Promise<void> {
    const controller = new AbortController();
    const standby = this.standby(options);
    let failure: Error | null = null;
    const running = standby.run(controller.signal).catch((error: unknown) => void (failure = error as Error));
    const reaches = async (tx: bigint): Promise<void> => {
      while (standby.status().position?.tx !== tx) {
        if (failure !== null) throw failure as Error;
        await delay(2);
      }
    };
    try {
      await work(reaches, standby);
    } finally {
      controller.abort(new Error('enough'));
      await running;
    }
    if (failure !== null) throw failure as Error;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.scene[Symbol.asyncDispose]();
  }
}

/** What another history has in the place of these commits: the same offsets, one byte of each differs. */
export function otherHistory(commits: readonly RecordedCommit[]): RecordedCommit[] {
  let prev = commits[0]?.prev ?? crc32cValue(0);
  return commits.map((commit) => {
    const bytes = Buffer.from(commit.bytes);
    const crcAt = bytes.byteLength - 4;
    bytes[crcAt - 1] = (bytes[crcAt - 1] ?? 0) ^ 1;
    const crc = crc32c(bytes.subarray(0, crcAt));
    bytes.writeUInt32LE(crc, crcAt);
    const changed = { ...commit, bytes, prev, crc };
    prev = crc;
    return changed;
  });
}
