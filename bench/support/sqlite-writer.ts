/**
 * An application's part beside Litestream, as a process of its own: appends rows to an SQLite database, each in a
 * transaction of its own and as long as the commits of commit-writer.ts, and afterwards says when each one was committed.
 *
 *     node sqlite-writer.ts '{"database":…,"seconds":…,"rate":…}'      or  "bytes":…
 *
 * Writes a JSON line { "times" } to stdout: milliseconds since 1970 of each commit, fractions included.
 */
import { randomBytes } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

export interface SqliteOrder {
  /** The file. */
  readonly database: string;
  /** With `rate`: for how long. */
  readonly seconds?: number;
  /** Commits a second. */
  readonly rate?: number;
  /** Instead of both: as many bytes of rows, half random, as fast as it goes, in one file without a journal. */
  readonly bytes?: number;
}

export interface SqliteReport {
  readonly times: readonly number[];
}

const ARGS_BYTES = 330;
const LARGE_ROW_BYTES = 16_384;
const ROWS_AT_ONCE = 1000;

function open(path: string): DatabaseSync {
  const database = new DatabaseSync(path);
  // What Litestream asks of an application: the write-ahead log, which nobody but Litestream checkpoints.
  database.exec('PRAGMA busy_timeout = 5000');
  database.exec('PRAGMA journal_mode = wal; PRAGMA synchronous = normal; PRAGMA wal_autocheckpoint = 0');
  database.exec('CREATE TABLE IF NOT EXISTS calls (id INTEGER PRIMARY KEY, reducer TEXT, time INTEGER, args BLOB)');
  return database;
}

async function steady(database: DatabaseSync, { rate = 0, seconds = 0 }: SqliteOrder): Promise<number[]> {
  const insert = database.prepare('INSERT INTO calls (reducer, time, args) VALUES (?, ?, ?)');
  const times: number[] = [];
  const start = performance.now();
  const tickMs = Math.max(5, 1000 / rate);
  while (times.length < rate * seconds) {
    const due = Math.min(rate * seconds, Math.floor(((performance.now() - start) / 1000) * rate));
    while (times.length < due) {
      const args = Buffer.alloc(ARGS_BYTES);
      for (let at = 0; at + 8 <= ARGS_BYTES; at += 16) args.writeDoubleLE(Math.random(), at);
      insert.run('player_move', Date.now() * 1000, args);
      times.push(performance.timeOrigin + performance.now());
    }
    await delay(tickMs);
  }
  return times;
}

function large(database: DatabaseSync, bytes: number): void {
  const insert = database.prepare('INSERT INTO calls (reducer, time, args) VALUES (?, ?, ?)');
  for (let done = 0; done < bytes; ) {
    database.exec('BEGIN');
    for (let row = 0; row < ROWS_AT_ONCE && done < bytes; row++, done += LARGE_ROW_BYTES) {
      const half = LARGE_ROW_BYTES / 2;
      insert.run('player_move', Date.now() * 1000, Buffer.concat([randomBytes(half), Buffer.alloc(half, 'stdb')]));
    }
    database.exec('COMMIT');
    database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const order = JSON.parse(process.argv[2] ?? '{}') as SqliteOrder;
  const database = open(order.database);
  let times: number[] = [];
  if (order.bytes === undefined) times = await steady(database, order);
  else large(database, order.bytes);
  database.close();
  const report: SqliteReport = { times };
  await new Promise<void>((resolve) => process.stdout.write(`${JSON.stringify(report)}\n`, () => resolve()));
}
