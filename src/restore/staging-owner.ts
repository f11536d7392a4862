/**
 * Who stages a restore, in `owner.json` of the staging directory: two restores must not clear each other's work, and
 * what a dead one left must not be in the way for ever.
 */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemCode } from '../core/errors.ts';
import { isProvenDead, type ProcessIdentity, readProcessIdentity } from '../core/process-identity.ts';

const OWNER_FILE = 'owner.json';

export const ownerPath = (staging: string): string => join(staging, OWNER_FILE);

export async function writeOwner(staging: string): Promise<void> {
  await writeFile(ownerPath(staging), `${JSON.stringify(await readProcessIdentity())}\n`, { flag: 'wx' });
}

/** From now on it is what a restore left that has ended. */
export async function removeOwner(staging: string): Promise<void> {
  await rm(ownerPath(staging), { force: true });
}

/**
 * The owner of a staging directory if it can be proven to run, else null. The other way round (proof of death) would
 * block a container that was restarted in a new pid namespace for good.
 */
export async function readLivingOwner(staging: string): Promise<ProcessIdentity | null> {
  const owner = await readOwner(staging);
  if (owner === null) return null;
  const self = await readProcessIdentity();
  const comparable =
    owner.bootId !== null &&
    owner.bootId === self.bootId &&
    owner.pidNamespace !== null &&
    owner.pidNamespace === self.pidNamespace &&
    owner.startTime !== null;
  return comparable && !(await isProvenDead(owner, self)) ? owner : null;
}

async function readOwner(staging: string): Promise<ProcessIdentity | null> {
  let text: string;
  try {
    text = await readFile(ownerPath(staging), 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return null;
    throw error;
  }
  return parseOwner(text);
}

/** Null where the process died while it wrote the file. */
function parseOwner(text: string): ProcessIdentity | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null) return null;
  const { machineId, bootId, pidNamespace, pid, startTime, host } = value as Record<string, unknown>;
  if (typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid <= 0) return null;
  const textOrNull = (field: unknown): string | null => (typeof field === 'string' ? field : null);
  return {
    machineId: textOrNull(machineId),
    bootId: textOrNull(bootId),
    pidNamespace: textOrNull(pidNamespace),
    pid,
    startTime: textOrNull(startTime),
    host: textOrNull(host) ?? '',
  };
}
