/** Restores one pair and judges it: the log by its bytes, the whole by the engine where there is one. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { judge } from '../oracle/oracle.ts';
import { compareLog } from './compare-log.ts';
import type { Pair, Scene } from './scene.ts';
import { hasOracle, type WriterEnd } from './soak-writer.ts';

const NO_BACKUP = 10;

/** What a restore in flight gave, to be compared with the source once that is at rest. */
export interface StateInFlight {
  readonly pair: Pair;
  readonly durable: number;
  readonly contentHash: string;
}

/**
 * @param end of the source at rest, which the restore must equal; null while it grows: then a beginning is asked for
 * @returns what the engine makes of it; null without engine or backup, or where something was wrong and was noted
 */
export async function judgeRestore(scene: Scene, pair: Pair, end: WriterEnd | null): Promise<StateInFlight | null> {
  const { tally } = scene;
  const acknowledged = pair.acknowledged;
  const { directory, result } = await scene.restore(pair);
  tally.add(end === null ? 'restores in flight' : 'restores at rest');
  const note = (what: string): null => {
    tally.note(`${pair.name}, restored into ${directory}: ${what}`);
    return null;
  };
  if (result.code === NO_BACKUP && acknowledged < 0n && end === null) return null;
  if (result.code !== 0) return note(`exit ${result.code ?? result.signal}: ${result.stderr.slice(-3000)}`);
  const last = end === null ? null : BigInt(end.durable);
  const { differences, compared } = await compareLog(directory, pair.writer.directory, {
    atLeast: acknowledged,
    last,
  });
  tally.add('commits compared', compared);
  if (differences.length > 0) return note(differences.join('; '));
  // Without a snapshot a log does not tell whose database it is, and the engine opens it for nobody: bytes must do.
  const canJudge = hasOracle && (await readdir(join(directory, 'snapshots'))).length > 0;
  const state = canJudge ? await judgeState(scene, { directory, end, note }) : null;
  if (canJudge && state === null) return null;
  await rm(directory, { recursive: true, force: true });
  return state === null ? null : { pair, ...state };
}

async function judgeState(
  { tally }: Scene,
  { directory, end, note }: { directory: string; end: WriterEnd | null; note: (what: string) => null },
): Promise<{ durable: number; contentHash: string } | null> {
  const { ok, error, warnings, durable, content_hash: contentHash } = await judge(directory);
  tally.add('states judged by the engine');
  if (!ok) return note(`the engine refuses it: ${error}`);
  if (warnings.length > 0) return note(`the engine warns: ${warnings.join('; ')}`);
  if (end !== null && contentHash !== end.contentHash)
    return note(`its content is ${contentHash} at ${durable}, the source's ${end.contentHash} at ${end.durable}`);
  return { durable, contentHash };
}

/** The source is at rest: had it the content at that point that the restore in flight had? */
export async function judgeStateInFlight(
  { tally }: Scene,
  { pair, durable, contentHash }: StateInFlight,
): Promise<void> {
  const then = await judge(pair.writer.directory, { until: durable });
  tally.add('states judged by the engine');
  if (!then.ok || then.content_hash !== contentHash)
    tally.note(
      `${pair.name}: restored in flight to ${durable} with the content ${contentHash}, but the source's was ` +
        `${then.content_hash} ${then.error ?? ''}`,
    );
}
