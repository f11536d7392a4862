/** From keys to paths below the root: parsed, never joined blindly, never through a link. */
import { lstat, mkdir, realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fsyncDirectory } from '../../core/atomic-file.ts';
import { systemCode } from '../../core/errors.ts';
import { keyParts } from '../keys.ts';
import { StoreNotFoundError } from '../replica-client.ts';
import { linkRefused } from './file-errors.ts';

export class FilePaths {
  readonly root: string;

  /** @param root an absolute path; it may itself be a link, as the operator wishes */
  constructor(root: string) {
    this.root = root;
  }

  pathOf(key: string): string {
    return join(this.root, ...keyParts(key));
  }

  /**
   * @throws StoreNotFoundError when the root is not there or is no directory
   * @throws system errors as they are
   */
  async requireRoot(): Promise<void> {
    try {
      if ((await stat(this.root)).isDirectory()) return;
    } catch (error) {
      if (systemCode(error) !== 'ENOENT' && systemCode(error) !== 'ENOTDIR') throw error;
    }
    throw new StoreNotFoundError(`${this.root} is not a directory that exists`, {
      hint: 'Mount the disk, make the directory, or correct the URL. A missing root is never taken for an empty backup.',
      facts: { path: this.root },
    });
  }

  /** Makes the root and its parents, durably. */
  async createRoot(): Promise<void> {
    const missing: string[] = [];
    for (let path = this.root; ; path = dirname(path)) {
      try {
        await lstat(path);
        break;
      } catch (error) {
        if (systemCode(error) !== 'ENOENT' || path === dirname(path)) throw error;
        missing.unshift(path);
      }
    }
    for (const path of missing) await makeDirectory(path);
  }

  /**
   * Makes the directories between the root and `path`, durably; never the root, which may be a disk that is not mounted.
   *
   * @throws StoreNotFoundError
   */
  async makeParents(path: string): Promise<void> {
    await this.requireRoot();
    const below = dirname(path).slice(this.root.length).split('/').filter(Boolean);
    let directory = this.root;
    for (const part of below) {
      directory = join(directory, part);
      await makeDirectory(directory);
    }
  }

  /**
   * Proves that no part of the directory of `path` is a link. Whoever can replace a directory by a link between this
   * and the next call could write the files themselves: this guards against what lies there, not against such a race.
   *
   * @throws system errors as they are, ENOENT among them
   */
  async refuseLinks(path: string): Promise<void> {
    const directory = dirname(path);
    const real = await realpath(directory);
    const expected = (await realpath(this.root)) + directory.slice(this.root.length);
    if (real !== expected) throw linkRefused(directory);
  }
}

async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
    if ((await lstat(path)).isSymbolicLink()) throw linkRefused(path);
    return;
  }
  await fsyncDirectory(dirname(path));
}
