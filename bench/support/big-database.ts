/** The database of the size for which figures are promised, and its backup: made once in a run, used by several benches. */
import { txOffset, type TxOffset } from '../../src/core/types.ts';
import { type BenchContext, MB } from './bench.ts';
import { appendLog, OBJECT_BYTES, writeSnapshot } from './make-database.ts';
import { makeDirectory } from './make-directory.ts';
import { type CommandCost, runCommand } from './run-command.ts';

const LOG_BYTES = 734 * MB;
const OBJECTS = 4000;
const QUICK_SHARE = 1 / 8;
/** The part of the log that has been written when the snapshot is taken. */
const SNAPSHOT_AT = 0.05;

export interface BigDatabase {
  readonly path: string;
  /** For tables: `734 MB log + 4000 objects of 64 KiB`. */
  readonly description: string;
  readonly plainBytes: number;
  readonly objects: number;
  readonly nextTx: TxOffset;
  readonly snapshotTx: TxOffset;
}

export interface DatabaseSize {
  readonly logBytes: number;
  readonly objects: number;
}

export async function makeDatabase(scratch: string, { logBytes, objects }: DatabaseSize): Promise<BigDatabase> {
  const path = await makeDirectory(scratch, 'database');
  const before = await appendLog(path, { bytes: logBytes * SNAPSHOT_AT, from: txOffset(0), seed: 1 });
  const snapshotTx = txOffset(before.nextTx - 1n);
  await writeSnapshot(path, { tx: snapshotTx, objects });
  const after = await appendLog(path, { bytes: logBytes * (1 - SNAPSHOT_AT), from: before.nextTx, seed: 2 });
  return {
    path,
    description: `${Math.round(logBytes / MB)} MB log + ${objects} objects of 64 KiB`,
    plainBytes: before.bytes + after.bytes + objects * OBJECT_BYTES,
    objects,
    nextTx: after.nextTx,
    snapshotTx,
  };
}

let made: Promise<BigDatabase> | null = null;

/** The source. Whoever changes it leaves it longer. */
export function bigDatabase({ scratch, quick }: BenchContext): Promise<BigDatabase> {
  const share = quick ? QUICK_SHARE : 1;
  made ??= makeDatabase(scratch, { logBytes: LOG_BYTES * share, objects: OBJECTS * share });
  return made;
}

/** One pass of `replicate -once`. */
export function replicateOnce(
  { program, s3 }: BenchContext,
  { database, url }: { database: string; url: string },
): Promise<CommandCost> {
  return runCommand([process.execPath, program, 'replicate', '-once', database, url], {
    env: { ...s3?.env, STDB_REPLICATE_OWNER: 'bench' },
  });
}
