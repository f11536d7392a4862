/** The recorded database, written once more at a pace that can be watched, while the program replicates it and dies. */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type GrowingDatabase, readCompressed } from '../../test/support/growing-database.ts';
import { type RecordedDatabase, lastTxOf } from '../../test/support/recorded-database.ts';
import { type RunningProgram, startProgram } from '../../test/support/program.ts';
import { vectorDirectory } from '../../test/vectors/vectors.ts';
import { LagWatch } from './lag-watch.ts';
import { milliseconds, say } from './words.ts';

/** Killed while this transaction is half written; the log rotates at 147, while nobody looks. */
const KILL_AT = 120n;
const RESTART_AT = 160n;
const COMMIT_PAUSES_MS = [5, 12, 45, 20, 8, 60, 15];
/** Now and then the database rests, as real ones do: then single commits are stored at once. */
const REST_EVERY = 50n;
const REST_MS = 700;
const TORN_PAUSE_MS = 4;

export interface Played {
  readonly lags: readonly number[];
  /** From the second start to the last commit that was written meanwhile being stored. */
  readonly catchUpMs: number;
  readonly writes: number;
}

export interface Stage {
  readonly recorded: RecordedDatabase;
  readonly growing: GrowingDatabase;
  readonly config: string;
  readonly addr: string;
}

export async function play({ recorded, growing, config, addr }: Stage): Promise<Played> {
  const start = (): RunningProgram => startProgram(['replicate', '-config', config], { timeoutMs: 120_000 });
  const lags = new LagWatch(addr);
  let program = start();
  let catchUpMs = 0;
  let storedAtKill = -1n;
  const last = lastTxOf(recorded);
  try {
    await program.says(/waiting for a commit log/);
    say(`stdb-replicate runs (process ${program.pid}) and waits: the database does not exist yet`);
    await growing.create();
    let isAlive = true;
    while (!growing.isComplete) {
      const tx = growing.lastTx + 1n;
      const kill = async (): Promise<void> => {
        if (!isAlive || tx !== KILL_AT) return;
        isAlive = false;
        program.kill('SIGKILL');
        await program.ended();
        lags.forgetUnstored();
        storedAtKill = lags.storedTx;
        say(
          `killed with SIGKILL while transaction ${tx} is half written; ${lags.storedTx} is stored. The database goes on`,
        );
      };
      await growing.writeCommit({ cuts: cutsOf(tx), pause: () => delay(TORN_PAUSE_MS).then(kill) });
      if (isAlive) lags.wrote(growing.lastTx);
      await happen(growing, tx);
      if (tx === RESTART_AT) {
        const since = performance.now();
        program = start();
        await program.until(() => lags.storedTx >= tx, 'the second start to catch up');
        catchUpMs = performance.now() - since;
        isAlive = true;
        say(
          `started again (process ${program.pid}): ${tx - storedAtKill} transactions caught up in ${milliseconds(catchUpMs)}`,
        );
      }
      if (tx % REST_EVERY === 0n && isAlive) {
        await delay(REST_MS);
        say(`${progressBar(tx, last)} transaction ${tx} written, ${lags.storedTx} stored`);
      }
      await delay(COMMIT_PAUSES_MS[Number(tx) % COMMIT_PAUSES_MS.length]);
    }
    // Not waited for: the last sync is what SIGTERM promises.
    program.kill('SIGTERM');
    const { code, stderr } = await program.ended();
    if (code !== 0) throw new Error(`after SIGTERM the program ended with ${code}:\n${stderr}`);
    say('SIGTERM right after the last commit: the rest is stored, exit code 0');
  } finally {
    await lags.end();
    await program[Symbol.asyncDispose]();
  }
  return { lags: lags.lags, catchUpMs, writes: growing.writes };
}

/** What a server does beside writing commits: snapshots, then compression of what is closed. */
async function happen(growing: GrowingDatabase, tx: bigint): Promise<void> {
  if (tx === 3n) await growing.takeSnapshot(1n, { pause: () => delay(5) });
  if (tx !== 185n) return;
  await growing.takeSnapshot(180n, { pause: () => delay(10) });
  const compressed = vectorDirectory('v2-compressed');
  const name = `${'0'.repeat(20)}.stdb.log`;
  await growing.compressSegment(name, await readCompressed(compressed, name));
  await growing.compressSnapshot(1n, join(compressed, 'snapshots', `${'1'.padStart(20, '0')}.snapshot_dir`));
  say('the server took a snapshot at 180, then compressed the closed segment and the older snapshot in place');
}

/** Every commit is torn: in its header, in its body, or just before its checksum. */
const cutsOf = (tx: bigint): readonly number[] =>
  ([[0.02, 0.6], [0.5], [0.97], [0.01]] as const)[Number(tx % 4n)] ?? [];

function progressBar(tx: bigint, last: bigint): string {
  const full = Math.round((Number(tx) / Number(last)) * 20);
  return `[${'#'.repeat(full)}${'.'.repeat(20 - full)}]`;
}
