/** A model of a database, a store in memory, and replicators and restores between them. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { ByteBudget } from '../../src/core/byte-budget.ts';
import { systemClock } from '../../src/core/clock.ts';
import { silentLog } from '../../src/core/log.ts';
import { restore } from '../../src/restore/restore.ts';
import { parseSnapshotDirName } from '../../src/spacetimedb/file-names.ts';
import { ModelDatabase } from './model-database.ts';
import { type RecordedCommit, readRecordedLog } from './recorded-log.ts';
import { ReplicatorScene } from './replicator-scene.ts';

const UNTIL_MS = 20_000;

export interface Restored {
  readonly log: readonly RecordedCommit[];
  readonly snapshot: bigint | null;
  readonly directory: string;
}

export class ModelScene implements AsyncDisposable {
  readonly scene: ReplicatorScene;
  readonly database: ModelDatabase;

  private constructor(scene: ReplicatorScene, seed: number) {
    this.scene = scene;
    this.database = new ModelDatabase(scene.database, { seed });
  }

  static async open({ seed = 1 }: { seed?: number } = {}): Promise<ModelScene> {
    const scene = await ReplicatorScene.open();
    await rm(scene.database, { recursive: true });
    return new ModelScene(scene, seed);
  }

  /** A restore of the default line, or of a generation's. */
  async restore({ generation, to = 'restored' }: { generation?: string; to?: string } = {}): Promise<Restored> {
    const directory = this.scene.beside(to);
    await rm(directory, { recursive: true, force: true });
    await restore({
      client: this.scene.client,
      target: directory,
      generation,
      budget: new ByteBudget(16 * 1024 * 1024),
      clock: systemClock,
      log: silentLog,
      signal: new AbortController().signal,
    });
    const names = await readdir(join(directory, 'snapshots')).catch(() => []);
    const snapshot = names.map(parseSnapshotDirName).find((tx) => tx !== null) ?? null;
    return { log: await readRecordedLog(directory), snapshot, directory };
  }

  /** The default line is the local log: every commit of it from where both begin, to the same end. */
  async expectLineIsLocal(): Promise<Restored> {
    const restored = await this.restore();
    const local = await this.database.log();
    const start = local[0]?.first ?? 0n;
    const from = restored.log[0]?.first ?? 0n;
    expect(commitNames(restored.log.filter(({ first }) => first >= start))).toEqual(
      commitNames(local.filter(({ first }) => first >= from)),
    );
    // A server opens it: from 0, or from a snapshot whose own commit is there.
    if (from > 0n) expect(restored.snapshot).not.toBeNull();
    if (restored.snapshot !== null) expect(restored.snapshot >= from - 1n).toBe(true);
    return restored;
  }

  /** Waits for what a service does. */
  async until(holds: () => boolean | Promise<boolean>): Promise<void> {
    const since = systemClock.monotonic();
    while (!(await holds())) {
      if (systemClock.monotonic() - since > UNTIL_MS) throw new Error('it never came to be');
      await systemClock.sleep(5);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.scene[Symbol.asyncDispose]();
  }
}

export const commitNames = (log: readonly RecordedCommit[]): string[] =>
  log.map(({ first, last, crc }) => `${first}-${last} ${crc}`);
