/**
 * The staging directory of one restore: everything is written below `content`, which becomes the target whole or not
 * at all. Disposing of it before `publish` removes every trace, directories that were made for it included.
 */
import type { Stats } from 'node:fs';
import { chmod, mkdir, readdir, rename, rm, rmdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fsyncDirectory } from '../core/atomic-file.ts';
import { localFileError, systemCode, TargetInUseError } from '../core/errors.ts';
import { CLOG_DIR, SNAPSHOTS_DIR } from '../spacetimedb/file-names.ts';
import { LOST_AND_FOUND, newStagingBeside, newStagingInside } from './staging-names.ts';
import { writeOwner } from './staging-owner.ts';
import type { RestoreTarget } from './target.ts';

const CONTENT_DIR = 'content';

/**
 * Entries of a replica directory in the order in which they are published inside a target: the log last, because
 * a server that finds snapshots without a log begins a new database, and the staging directory still stands then.
 */
const PUBLISHING_ORDER: readonly string[] = [SNAPSHOTS_DIR, CLOG_DIR];

export class Staging implements AsyncDisposable {
  readonly #target: RestoreTarget;
  readonly #directory: string;
  /** The first of the parents that had to be made, or null. */
  readonly #madeParent: string | null;
  /** Entries of the target that this restore put there, in publishing order. */
  readonly #renamedIn: string[] = [];
  #published = false;
  /** What an operator must mend before a server can use the target, as a sentence; null where there is nothing. */
  ownerWarning: string | null = null;

  private constructor(target: RestoreTarget, directory: string, madeParent: string | null) {
    this.#target = target;
    this.#directory = directory;
    this.#madeParent = madeParent;
  }

  /** Clears what an unfinished restore left, and makes the staging directory. @throws LocalFileError */
  static async open(target: RestoreTarget): Promise<Staging> {
    try {
      for (const leftover of target.leftovers) await rm(leftover, { recursive: true, force: true });
      const parent = dirname(target.path);
      const madeParent = (await mkdir(parent, { recursive: true })) ?? null;
      const directory =
        target.staging === 'inside'
          ? join(target.path, newStagingInside())
          : join(parent, newStagingBeside(basename(target.path)));
      await mkdir(directory);
      const staging = new Staging(target, directory, madeParent);
      try {
        await writeOwner(directory);
        await mkdir(staging.content);
        if (target.exists) await staging.#takeAfter(await stat(target.path));
      } catch (error) {
        await staging[Symbol.asyncDispose]();
        throw error;
      }
      return staging;
    } catch (error) {
      throw localFileError('prepare the restore in', target.path, error);
    }
  }

  /** The content is to look like the directory that was there. */
  async #takeAfter(before: Stats): Promise<void> {
    if (this.#target.staging === 'beside') await chmod(this.content, before.mode);
    const { uid } = await stat(this.content);
    if (uid === before.uid) return;
    this.ownerWarning =
      `The restored files belong to user ${uid}, and ${this.#target.path} belonged to user ${before.uid}: ` +
      `chown -R ${before.uid}:${before.gid} ${this.#target.path} before a server uses it.`;
  }

  /** Absolute; what is written below it, at any depth, is published. */
  get content(): string {
    return join(this.#directory, CONTENT_DIR);
  }

  /**
   * Makes the content the target's. Everything in it must be durable already.
   *
   * @throws TargetInUseError when the target was filled meanwhile
   */
  async publish(): Promise<void> {
    try {
      if (this.#target.staging === 'inside') await this.#publishInside();
      else await this.#publishBeside();
      this.#published = true;
    } catch (error) {
      if (error instanceof TargetInUseError) throw error;
      if (['ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes(systemCode(error) ?? '')) throw this.#filledMeanwhile(error);
      throw localFileError('publish the restore as', this.#target.path, error);
    }
    await this.#removeStaging();
  }

  async #publishBeside(): Promise<void> {
    await fsyncDirectory(this.content);
    // rename(2) replaces an empty directory, and fails where the target has got something in it.
    await rename(this.content, this.#target.path);
    for (let at = dirname(this.#target.path); ; at = dirname(at)) {
      await fsyncDirectory(at);
      if (this.#madeParent === null || at === dirname(this.#madeParent) || at === dirname(at)) break;
    }
  }

  async #publishInside(): Promise<void> {
    await fsyncDirectory(this.content);
    const present = new Set(await readdir(this.content));
    const meanwhile = (await readdir(this.#target.path)).filter(
      (name) => name !== LOST_AND_FOUND && name !== basename(this.#directory),
    );
    if (meanwhile.length > 0) throw this.#filledMeanwhile(undefined);
    for (const name of PUBLISHING_ORDER) {
      if (!present.has(name)) continue;
      await rename(join(this.content, name), join(this.#target.path, name));
      this.#renamedIn.push(name);
      await fsyncDirectory(this.#target.path);
    }
  }

  #filledMeanwhile(cause: unknown): TargetInUseError {
    return new TargetInUseError(`the restore target ${this.#target.path} was filled while the restore ran`, {
      cause,
      hint: 'Nothing of it was touched. Choose another directory with -o, or move it away.',
      facts: { path: this.#target.path },
    });
  }

  async #removeStaging(): Promise<void> {
    try {
      await rm(this.#directory, { recursive: true, force: true });
      await fsyncDirectory(dirname(this.#directory));
    } catch (error) {
      throw localFileError('remove the staging directory', this.#directory, error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#published) return;
    // Entries that were renamed in before a failure go first: the staging directory marks them as unfinished.
    for (const name of this.#renamedIn) await rm(join(this.#target.path, name), { recursive: true, force: true });
    await rm(this.#directory, { recursive: true, force: true });
    if (this.#madeParent === null) return;
    for (let at = dirname(this.#target.path); at.startsWith(this.#madeParent); at = dirname(at)) {
      try {
        await rmdir(at);
      } catch (error) {
        // Somebody else uses the directory by now: it stays.
        if (['ENOTEMPTY', 'EEXIST', 'ENOENT'].includes(systemCode(error) ?? '')) return;
        throw error;
      }
    }
  }
}
