/**
 * What a restore leaves that is killed at any moment: a copy of all that was on the disk then, as a process that is dead
 * by now has left it; and what somebody, or a disk, may do to it afterwards.
 */
import {
  appendFile,
  cp,
  link,
  lstat,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import type { RestoreOptions } from '../../src/restore/restore.ts';
import { ownerPath } from '../../src/restore/staging-owner.ts';
import { realTargetSystem, type TargetSystem } from '../../src/restore/target-system.ts';
import type { Random } from '../sim/random.ts';
import type { RestoreScene } from './restore-scene.ts';

export interface KillOptions {
  /** The kill comes at this request or new file, counted from 1. */
  readonly at: number;
  /** Where the copy is made: a scene of its own. */
  readonly into: RestoreScene;
  readonly system?: TargetSystem;
  /** What is killed; default: the restore of the scene's database. */
  readonly run?: (options: Partial<RestoreOptions> & Pick<RestoreOptions, 'client'>) => Promise<unknown>;
}

/** Resolves to whether it came to the kill; otherwise the restore was done, or refused, before. */
export async function killRestore(
  scene: RestoreScene,
  { at, into, system = realTargetSystem, run = (all) => scene.run(all) }: KillOptions,
  options: Partial<RestoreOptions>,
): Promise<boolean> {
  const killed = new AbortController();
  let steps = 0;
  let copying: Promise<void> | null = null;
  const step = async (): Promise<void> => {
    steps += 1;
    if (steps === at) copying = cp(scene.root, into.root, { recursive: true, preserveTimestamps: true });
    if (copying === null) return;
    await copying;
    killed.abort();
    killed.signal.throwIfAborted();
  };
  const client = scene.spying(async (key, get) => {
    await step();
    return await scene.client.get(key, get);
  });
  const counting: TargetSystem = {
    ...system,
    createFile: async (path) => {
      await step();
      return await system.createFile(path);
    },
  };
  const all = { ...options, client, system: counting, signal: killed.signal };
  await run(all).catch((error: unknown) => {
    if (!killed.signal.aborted) throw error;
  });
  await rm(scene.target, { recursive: true, force: true });
  if (copying === null) return false;
  for (const staging of await stagingsOf(into)) await rm(ownerPath(staging), { force: true });
  return true;
}

export async function stagingsOf({ root, target }: RestoreScene): Promise<string[]> {
  const beside = (await readdir(root)).filter((name) => name !== 'target').map((name) => join(root, name));
  const inside = await readdir(target).catch(() => []);
  return [...beside, ...inside.map((name) => join(target, name))].filter((path) => path.includes('.stdb-restore-'));
}

/** Every file below, ascending. */
export async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
}

/** Paths and bytes of a tree. */
export async function contentOf(directory: string): Promise<Map<string, string>> {
  const content = new Map<string, string>();
  for (const path of await filesBelow(directory)) {
    content.set(path.slice(directory.length), (await readFile(path)).toString('base64'));
  }
  return content;
}

/** Changes one file of what was left. @param outside a file that nobody may write to */
export async function tamper(random: Random, scene: RestoreScene, outside: string): Promise<void> {
  const stagings = await stagingsOf(scene);
  const files = (await Promise.all(stagings.map(filesBelow))).flat();
  if (files.length === 0) return;
  const path = random.pick(files);
  const facts = await lstat(path);
  // What is done to a link made before would be done to the file outside.
  if (!facts.isFile() || facts.nlink > 1) return;
  const { size } = facts;
  const bytes = await readFile(path);
  const other = random.pick(files);
  const actions: readonly (() => Promise<unknown>)[] = [
    async () => {
      if (bytes.byteLength === 0) return;
      const index = random.int(0, bytes.byteLength - 1);
      bytes[index] = (bytes[index] ?? 0) ^ (1 << random.int(0, 7));
      await writeFile(path, bytes);
    },
    () => truncate(path, random.int(0, size)),
    () => truncate(path, size + random.int(1, 4096)),
    () => appendFile(path, random.bytes(random.int(1, 300))),
    () => rm(path),
    () => rm(path).then(() => symlink(outside, path)),
    () => rm(path).then(() => link(outside, path)),
    () => cp(other, path, { force: true, errorOnExist: false }).catch(() => undefined),
    () => rename(path, `${path}x`),
    () => writeFile(join(path, '..', '00000000000000000001.stdb.log'), random.bytes(100)),
  ];
  await random.pick(actions)();
}
