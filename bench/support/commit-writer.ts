/**
 * A server's part in a bench, as a process of its own: appends valid commits to a log at a rate, or in calls of three
 * commits with pauses between, and afterwards says when each one was written.
 *
 *     node commit-writer.ts '{"database":…,"firstTx":…,"seconds":…,"rate":…}'      or  "calls":…,"pauseMs":…
 *
 * Writes a JSON line { "firstTx", "times" } to stdout: milliseconds since 1970 of each commit, fractions included.
 */
import { mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { micros, txOffset } from '../../src/core/types.ts';
import { encodeCommit } from '../../src/spacetimedb/commit.ts';
import { CLOG_DIR, formatSegmentName } from '../../src/spacetimedb/file-names.ts';
import { encodeRecord } from '../../src/spacetimedb/record-prefix.ts';
import { encodeSegmentHeader } from '../../src/spacetimedb/segment-header.ts';

export interface WriterOrder {
  readonly database: string;
  readonly firstTx: number;
  /** With `rate`: for how long. */
  readonly seconds?: number;
  /** Commits a second. */
  readonly rate?: number;
  /** Calls of three commits, 2 ms apart. */
  readonly calls?: number;
  readonly pauseMs?: number;
}

export interface WriterReport {
  readonly firstTx: number;
  readonly times: readonly number[];
}

/** A commit of 430 bytes, as long as those of small reducer calls. */
const ARGS_BYTES = 330;
const COMMITS_IN_CALL = 3;
const BETWEEN_COMMITS_MS = 2;

class CommitWriter {
  readonly #file: number;
  #tx: number;
  readonly times: number[] = [];

  constructor({ database, firstTx }: WriterOrder) {
    mkdirSync(join(database, CLOG_DIR), { recursive: true });
    this.#file = openSync(join(database, CLOG_DIR, formatSegmentName(txOffset(0))), 'a');
    if (firstTx === 0) writeSync(this.#file, encodeSegmentHeader({ version: 1 }));
    this.#tx = firstTx;
  }

  write(count: number): void {
    const commits: Uint8Array[] = [];
    for (let index = 0; index < count; index++) {
      const args = Buffer.alloc(ARGS_BYTES);
      for (let at = 0; at + 8 <= ARGS_BYTES; at += 16) args.writeDoubleLE(Math.random(), at);
      const record = encodeRecord({ reducer: 'player_move', time: micros(BigInt(Date.now()) * 1000n), args });
      commits.push(encodeCommit({ version: 1, tx: txOffset(this.#tx++), records: record }));
    }
    writeSync(this.#file, Buffer.concat(commits));
    const now = performance.timeOrigin + performance.now();
    for (let index = 0; index < count; index++) this.times.push(now);
  }
}

async function steady(writer: CommitWriter, { rate = 0, seconds = 0 }: WriterOrder): Promise<void> {
  const start = performance.now();
  // A server at 200 commits/s writes them one by one; at 2,000 a few at once.
  const tickMs = Math.max(5, 1000 / rate);
  for (let done = 0; done < rate * seconds; ) {
    const due = Math.min(rate * seconds, Math.floor(((performance.now() - start) / 1000) * rate));
    if (due > done) writer.write(due - done);
    done = Math.max(done, due);
    await delay(tickMs);
  }
}

async function calls(writer: CommitWriter, { calls: count = 0, pauseMs = 0 }: WriterOrder): Promise<void> {
  for (let call = 0; call < count; call++) {
    for (let commit = 0; commit < COMMITS_IN_CALL; commit++) {
      if (commit > 0) await delay(BETWEEN_COMMITS_MS);
      writer.write(1);
    }
    await delay(pauseMs * (1 + Math.random() * 0.2));
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const order = JSON.parse(process.argv[2] ?? '{}') as WriterOrder;
  const writer = new CommitWriter(order);
  await (order.calls === undefined ? steady(writer, order) : calls(writer, order));
  const report: WriterReport = { firstTx: order.firstTx, times: writer.times };
  await new Promise<void>((resolve) => process.stdout.write(`${JSON.stringify(report)}\n`, () => resolve()));
}
