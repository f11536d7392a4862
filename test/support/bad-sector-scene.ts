/** A service beside a log on a disk with bad sectors, by a clock on which its pauses cost no time. */
import { type Clock, systemClock } from '../../src/core/clock.ts';
import { type Log, silentLog } from '../../src/core/log.ts';
import type { Replicator } from '../../src/replicate/replicator.ts';
import { BadSectorFiles, SECTOR_BYTES } from './bad-sector-files.ts';
import { ModelScene } from './model-scene.ts';

const HEADER_BYTES = 10;

export interface Running {
  readonly model: ModelScene;
  readonly files: BadSectorFiles;
  readonly one: Replicator;
  readonly said: readonly string[];
  /** By the writer's clock, since it began. */
  readonly elapsedMs: () => number;
  /** The sector in which the commit at `tx` begins cannot be read. Gives the first commit that lies in it. */
  readonly spoil: (tx: bigint) => Promise<bigint>;
  /** Until nothing of the log is missing in the store. */
  readonly caughtUp: () => Promise<void>;
}

/** Of the log of `withService`, until more is appended. */
export const LAST = 599n;

/** A service beside a log of 600 commits, about 50 KiB, in one segment. */
export async function withService(
  prepare: (parts: Pick<Running, 'model' | 'files' | 'spoil'>) => Promise<void>,
  act: (running: Running) => Promise<void>,
): Promise<void> {
  await using model = await ModelScene.open();
  await model.database.append(600);
  let aheadMs = 0;
  const clock: Clock = {
    ...systemClock,
    monotonic: () => systemClock.monotonic() + aheadMs,
    sleep: async (ms, options) => {
      await systemClock.sleep(Math.min(ms, 2), options);
      aheadMs += ms;
    },
  };
  const files = new BadSectorFiles();
  const said: string[] = [];
  const say = (text: string): void => void said.push(text);
  const log: Log = { ...silentLog, warn: say, error: say };
  const spoil = async (tx: bigint): Promise<bigint> => {
    let end = HEADER_BYTES;
    const ends = (await model.database.log()).map(({ last, bytes }) => ({ last, end: (end += bytes.byteLength) }));
    const first = Math.floor((ends.find(({ last }) => last === tx - 1n)?.end ?? HEADER_BYTES) / SECTOR_BYTES);
    files.bad = [...files.bad, { path: '.stdb.log', first, count: 1 }];
    return ends.find((one) => one.end > first * SECTOR_BYTES)?.last ?? 0n;
  };
  await prepare({ model, files, spoil });
  const since = clock.monotonic();
  const one = await model.scene.replicator({ once: false, files, clock, log, random: () => 0.5 });
  const running = one.run(new AbortController().signal);
  const failed = running.then(
    () => null,
    (error: unknown) => error,
  );
  const caughtUp = async (): Promise<void> => {
    const last = await model.database.lastTx();
    await model.until(() => {
      const { state, stored, lagSeconds } = one.status();
      return state === 'streaming' && stored?.tx === last && lagSeconds === 0;
    });
  };
  try {
    await act({ model, files, one, said, elapsedMs: () => clock.monotonic() - since, spoil, caughtUp });
  } finally {
    files.bad = [];
    one.drain();
    await failed;
  }
}
