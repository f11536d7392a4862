/**
 * The staging directory of one restore: everything is written below `content`, which becomes the target whole or not
 * at all. Disposing of it before `publish` or `keep` removes every trace, directories that were made for it included.
 */
import { chmod, mkdir, readdir, rename, rm, rmdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fsyncDirectory } from '../core/atomic-file.ts';
import {
  assert,
  localFileError,
  LocalFileError,
  ReplicateError,
  systemCode,
  TargetInUseError,
} from '../core/errors.ts';
import type { DirectorySet } from './adopt-leftover.ts';
import type { JournalEntry } from './journal.ts';
import {
  type OwnedFacts,
  type Ownership,
  type OwnershipWish,
  ownDirectories,
  ownedSystem,
  ownershipLike,
} from './ownership.ts';
import { PUBLISHING_ORDER } from './publishing-order.ts';
import {
  isStagingBeside,
  isStagingInside,
  LOST_AND_FOUND,
  newStagingBeside,
  newStagingInside,
} from './staging-names.ts';
import { StagingClaims } from './staging-claims.ts';
import { ownerPath, removeOwner, writeOwner } from './staging-owner.ts';
import type { RestoreTarget } from './target.ts';
import { realTargetSystem, type TargetSystem } from './target-system.ts';
import type { UnfinishedRestore } from './unfinished.ts';

const CONTENT_DIR = 'content';
const SPECIAL_BITS = 0o7000;

export interface StagingOptions {
  readonly system?: TargetSystem;
  readonly ownership?: OwnershipWish;
  /** Of the databases that may be claimed, below the content; default: one, which is the content itself. */
  readonly directories?: DirectorySet;
}

interface StagingFacts {
  readonly target: RestoreTarget;
  readonly directory: string;
  /** The first of the parents that had to be made, or null. */
  readonly madeParent: string | null;
  readonly system: TargetSystem;
}

export class Staging implements AsyncDisposable {
  readonly #target: RestoreTarget;
  readonly #directory: string;
  /** The first of the parents that had to be made, or null. */
  readonly #madeParent: string | null;
  /** Entries of the target that this restore put there, in publishing order. */
  readonly #renamedIn: string[] = [];
  #published = false;
  #kept = false;
  readonly #claims: StagingClaims;
  readonly #plainSystem: TargetSystem;
  #system: TargetSystem;
  #ownership: Ownership | null = null;
  /** What an operator must mend before a server can use the target, as a sentence; null where there is nothing. */
  ownerWarning: string | null = null;

  private constructor({ target, directory, madeParent, system }: StagingFacts) {
    this.#target = target;
    this.#directory = directory;
    this.#madeParent = madeParent;
    this.#system = system;
    this.#plainSystem = system;
    this.#claims = new StagingClaims(directory, this.content);
  }

  /**
   * Makes the staging directory, takes over what an unfinished restore left as far as `claim` may ask for it, and clears
   * the rest.
   *
   * @throws LocalFileError, also where this process may not give files to the owner that was asked for
   */
  static async open(target: RestoreTarget, options: StagingOptions = {}): Promise<Staging> {
    const { system = realTargetSystem, ownership = {}, directories = new Set(['']) } = options;
    try {
      const model = await stat(target.exists ? target.path : target.disk);
      const parent = dirname(target.path);
      const madeParent = (await mkdir(parent, { recursive: true })) ?? null;
      const directory =
        target.staging === 'inside'
          ? join(target.path, newStagingInside())
          : join(parent, newStagingBeside(basename(target.path)));
      await mkdir(directory);
      const staging = new Staging({ target, directory, madeParent, system });
      try {
        await writeOwner(directory);
        await mkdir(staging.content);
        await staging.#becomeLike(model, ownership);
        await staging.#takeOver(directories);
      } catch (error) {
        await staging[Symbol.asyncDispose]();
        throw error;
      }
      return staging;
    } catch (error) {
      if (error instanceof LocalFileError) throw error;
      throw localFileError('prepare the restore in', target.path, error);
    }
  }

  async #takeOver(directories: DirectorySet): Promise<void> {
    const { path, leftovers } = this.#target;
    const isStaging = (name: string): boolean => isStagingInside(name) || isStagingBeside(name, basename(path));
    await this.#claims.takeOver(
      leftovers.filter((leftover) => isStaging(basename(leftover))),
      { ownership: this.ownership, directories },
    );
    for (const leftover of leftovers) await rm(leftover, { recursive: true, force: true });
  }

  /** @see StagingClaims.claim */
  claim(entry: JournalEntry): Promise<string> {
    return this.#claims.claim(entry);
  }

  /** Whether this process may give files away is found out on the one directory that is there so far. */
  async #becomeLike(model: OwnedFacts, wish: OwnershipWish): Promise<void> {
    const { uid, gid, mode } = await stat(this.content);
    const like = ownershipLike(model, wish);
    let owned = like;
    if (uid !== like.uid || gid !== like.gid) {
      try {
        await this.#plainSystem.setOwner(this.content, like);
      } catch (error) {
        if (systemCode(error) !== 'EPERM') throw error;
        if (wish.uid !== undefined || wish.gid !== undefined) throw this.#mayNotGive(like, error);
        // A directory of root's says nothing of who is to use what is made in it.
        if (uid !== like.uid && (this.#target.exists || like.uid !== 0)) {
          this.ownerWarning = this.#describeOwner(uid, like);
        }
        owned = { ...like, uid, gid };
      }
    }
    // The bits above those of permissions (a group that is inherited) are kept where the directory itself was there.
    if (this.#target.exists) await chmod(this.content, ((model.mode | mode) & SPECIAL_BITS) | owned.directoryMode);
    this.#ownership = owned;
    // A file that was just created here tells what umask and file system make of one.
    this.#system = ownedSystem(this.#plainSystem, owned, await stat(ownerPath(this.#directory)));
  }

  #mayNotGive({ uid, gid }: Ownership, cause: unknown): LocalFileError {
    return new LocalFileError(`the restored files cannot be given to user ${uid} and group ${gid}: not permitted`, {
      cause,
      hint: 'Only root may give files to another user. Run the restore as root, or as that user without -uid and -gid.',
      facts: { path: this.#target.path, uid, gid, systemCode: 'EPERM' },
    });
  }

  #describeOwner(uid: number, like: Ownership): string {
    const { path, exists } = this.#target;
    const other = exists ? `${path} belonged` : 'the directory above them belongs';
    return (
      `The restored files belong to user ${uid}, and ${other} to user ${like.uid}: ` +
      `chown -R ${like.uid}:${like.gid} ${path} before a server uses it, if that is the server's user.`
    );
  }

  /** To write the content through: files are owned as they must be from their first byte on. */
  get system(): TargetSystem {
    return this.#system;
  }

  /** Of the files and directories that are published. */
  get ownership(): Ownership {
    assert(this.#ownership !== null, 'a staging directory that is open has an owner');
    return this.#ownership;
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
      await ownDirectories(this.content, this.ownership, this.#plainSystem);
      if (this.#target.staging === 'inside') await this.#publishInside();
      else await this.#publishBeside();
      this.#published = true;
    } catch (error) {
      if (error instanceof ReplicateError) throw error;
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
    const unknown = [...present].filter((name) => !PUBLISHING_ORDER.includes(name));
    assert(unknown.length === 0, `${unknown.join(', ')} has a place in the order of publishing`);
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

  /**
   * Leaves what was written for the next restore to go on with. Nothing may be written any more.
   *
   * @returns null where that would be nothing: then all is removed, as ever
   * @throws LocalFileError
   */
  async keep(): Promise<UnfinishedRestore | null> {
    if (this.#published || this.#renamedIn.length > 0) return null;
    try {
      const bytes = await this.#claims.bytes();
      if (bytes === 0) return null;
      await removeOwner(this.#directory);
      this.#kept = true;
      return { path: this.#directory, bytes };
    } catch (error) {
      throw localFileError('keep what was written in', this.#directory, error);
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
    if (this.#published || this.#kept) return;
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
