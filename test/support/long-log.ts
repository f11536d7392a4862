/** A log of any length, for what must be true of many megabytes: commits of random bytes, which nothing compresses. */
import { randomFillSync } from 'node:crypto';
import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { txOffset } from '../../src/core/types.ts';
import { encodeCommit } from '../../src/spacetimedb/commit.ts';
import { encodeSegmentHeader } from '../../src/spacetimedb/segment-header.ts';

const SEGMENT = '00000000000000000000.stdb.log';

export class LongLog {
  readonly #path: string;
  #nextTx = 0n;

  private constructor(path: string) {
    this.#path = path;
  }

  /** @param database a replica directory, made here */
  static async create(database: string): Promise<LongLog> {
    await mkdir(join(database, 'clog'), { recursive: true });
    await mkdir(join(database, 'snapshots'), { recursive: true });
    const path = join(database, 'clog', SEGMENT);
    await writeFile(path, encodeSegmentHeader({ version: 1 }));
    return new LongLog(path);
  }

  get lastTx(): bigint {
    return this.#nextTx - 1n;
  }

  async append(commits: number, { bytes }: { bytes: number }): Promise<void> {
    await using file = await open(this.#path, 'a');
    for (let count = 0; count < commits; count += 1) {
      // It begins with zeros, which say no time.
      const records = randomFillSync(new Uint8Array(bytes), 64);
      await file.write(encodeCommit({ version: 1, tx: txOffset(this.#nextTx), records }));
      this.#nextTx += 1n;
    }
  }

  /** Whether the restored directory has exactly this log. */
  async equals(restored: string): Promise<boolean> {
    return (await readFile(join(restored, 'clog', SEGMENT))).equals(await readFile(this.#path));
  }
}
