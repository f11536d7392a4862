/** Who this writer is: the owner's name, which may continue a backup, and this session of it. */
import { randomUUID } from 'node:crypto';
import { type ProcessIdentity, readProcessIdentity } from '../core/process-identity.ts';

export interface Writer {
  /** Shared by all processes that may continue each other's backup. */
  readonly owner: string;
  /** New for each start. */
  readonly session: string;
  readonly process: ProcessIdentity;
  /** Of this program. */
  readonly version: string;
}

/** @param owner as configured; null: the machine id, else the host name */
export async function identifyWriter({ owner, version }: { owner: string | null; version: string }): Promise<Writer> {
  const process = await readProcessIdentity();
  return { owner: owner ?? process.machineId ?? process.host, session: randomUUID(), process, version };
}
