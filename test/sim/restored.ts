/** Restores from the simulated bucket with the real restore, and says what came out in the words of the model. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { ByteBudget } from '../../src/core/byte-budget.ts';
import { systemClock } from '../../src/core/clock.ts';
import { silentLog } from '../../src/core/log.ts';
import { type RestoreReport, restore } from '../../src/restore/restore.ts';
import { realTargetSystem, type TargetSystem } from '../../src/restore/target-system.ts';
import { type Commit, type History, leadsTo } from './history.ts';
import { readSegments } from './read-disk-log.ts';
import { parseState } from './server-files.ts';
import type { Bucket } from './sim-store.ts';
import { demand } from './violation.ts';

const FREE_BYTES = 2 ** 40;

/** One disk that is free and writable, whatever this machine's are. */
const system: TargetSystem = {
  ...realTargetSystem,
  isMountPoint: async () => false,
  isWritable: async () => true,
  freeBytes: async () => FREE_BYTES,
  readLocks: async () => null,
};

export interface Restored {
  readonly report: RestoreReport;
  /** The last commit of the restored log. */
  readonly end: Commit;
  /** The first transaction of the restored log. */
  readonly start: bigint;
  readonly snapshot: { readonly tx: bigint; readonly identity: string } | null;
  /** By path below the replica directory. */
  readonly files: ReadonlyMap<string, Uint8Array>;
}

/** A place in memory for restored directories, where the machine has one. */
export class RestorePlace {
  readonly #root = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'stdb-sim-'));
  #count = 0;

  /** @throws what `restore` throws; Violation when what it gave is no history that ever was */
  async restore(bucket: Bucket, history: History, options: { generation?: string } = {}): Promise<Restored> {
    this.#count += 1;
    const target = join(this.#root, `${this.#count}`);
    try {
      const report = await restore({
        client: bucket.client,
        target,
        budget: new ByteBudget(16 * 1024 * 1024),
        clock: systemClock,
        log: silentLog,
        signal: new AbortController().signal,
        system,
        ...options,
      });
      const files = await readTree(target);
      return { report, files, ...judge(files, history) };
    } finally {
      rmSync(target, { recursive: true, force: true });
    }
  }

  [Symbol.dispose](): void {
    rmSync(this.#root, { recursive: true, force: true });
  }
}

async function readTree(root: string): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    files.set(relative(root, path), await readFile(path));
  }
  return files;
}

/** The restored files must be one history, whole commits and nothing else, with a snapshot of that history. */
function judge(files: ReadonlyMap<string, Uint8Array>, history: History): Omit<Restored, 'report' | 'files'> {
  let end: Commit | null = null;
  let start: bigint | null = null;
  for (const segment of readSegments(files, history)) {
    demand(segment.validBytes === segment.plainBytes, () => `garbage was restored in ${segment.path}`);
    const [first] = segment.commits;
    demand(first !== undefined, () => `an empty segment was restored: ${segment.path}`);
    demand(
      end === null || first.before === end,
      () => `the restored log mixes histories, or has a hole, at ${first.first}`,
    );
    start ??= first.first;
    end = segment.commits.at(-1) as Commit;
  }
  demand(end !== null && start !== null, () => 'a restore gave an empty log');
  return { end, start, snapshot: judgeSnapshot(files, { start, end }) };
}

function judgeSnapshot(
  files: ReadonlyMap<string, Uint8Array>,
  { start, end }: { start: bigint; end: Commit },
): Restored['snapshot'] {
  for (const [path, bytes] of files) {
    if (!path.includes('/objects/')) continue;
    const state = parseState(Buffer.from(bytes).toString());
    if (state === null) continue;
    demand(state.tx + 1n >= start, () => `snapshot ${state.tx} was restored with a log from ${start}`);
    demand(state.tx <= end.last, () => `snapshot ${state.tx} was restored with a log that ends at ${end.last}`);
    let at: Commit | null = end;
    while (at !== null && at.last > state.tx) at = at.before;
    demand(at?.crc === state.crc && leadsTo(at, end), () => `snapshot ${state.tx} belongs to another history`);
    return { tx: state.tx, identity: state.identity };
  }
  demand(start === 0n, () => `a log from ${start} was restored without a snapshot`);
  return null;
}
