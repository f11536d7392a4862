/**
 * The scratch directory of one drill: made for it alone, and always removed. What a killed process left is removed by
 * the next drill in the same place, once that process is proven dead.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigurationError, localFileError, systemCode } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { isProvenDead, type ProcessIdentity, readProcessIdentity } from '../core/process-identity.ts';

const NAME = /^stdb-drill-[0-9a-f]{12}$/;
const OWNER_FILE = 'owner.json';

export class DrillDirectory implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** Absent; a restore makes it. */
  get target(): string {
    return join(this.path, 'restored');
  }

  /** @param scratch an existing directory @throws LocalFileError */
  static async open(scratch: string, { log }: { readonly log: Log }): Promise<DrillDirectory> {
    const self = await readProcessIdentity();
    await removeLeftovers(scratch, { self, log });
    const path = join(scratch, `stdb-drill-${randomBytes(6).toString('hex')}`);
    try {
      await mkdir(path, { mode: 0o700 });
      await writeFile(join(path, OWNER_FILE), JSON.stringify(self));
    } catch (error) {
      throw localFileError('create', path, error);
    }
    return new DrillDirectory(path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await remove(this.path);
  }
}

async function remove(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true, maxRetries: 3 });
  } catch (error) {
    throw localFileError('remove', path, error);
  }
}

async function removeLeftovers(
  scratch: string,
  { self, log }: { readonly self: ProcessIdentity; readonly log: Log },
): Promise<void> {
  let names: string[];
  try {
    names = await readdir(scratch);
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') {
      throw new ConfigurationError(`the scratch directory ${scratch} does not exist, or is not a directory`, {
        hint: 'Make it, or name another one with -scratch, or `drill.scratch` in the configuration.',
        cause: error,
      });
    }
    throw localFileError('read', scratch, error);
  }
  for (const name of names.filter((one) => NAME.test(one))) {
    const path = join(scratch, name);
    const owner = await readOwner(path);
    if (owner === null || !(await isProvenDead(owner, self))) continue;
    log.info('removing what a drill left that was killed', { path });
    await remove(path);
  }
}

/** Null where nobody can be told. */
async function readOwner(path: string): Promise<ProcessIdentity | null> {
  try {
    const value: unknown = JSON.parse(await readFile(join(path, OWNER_FILE), 'utf8'));
    return isIdentity(value) ? value : null;
  } catch {
    // Not there yet, or not ours: then it is not ours to remove.
    return null;
  }
}

const isIdentity = (value: unknown): value is ProcessIdentity =>
  typeof value === 'object' && value !== null && 'pid' in value && typeof value.pid === 'number' && 'bootId' in value;
