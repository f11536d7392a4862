/** Files that a standby makes belong to whom its directory belongs: the user of the server that is to open it, perhaps. */
import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { TEMPORARY_PREFIX } from '../../core/atomic-file.ts';
import { localFileError, systemCode } from '../../core/errors.ts';
import { ownedSystem, type Ownership, ownershipLike } from '../ownership.ts';
import { realTargetSystem, type TargetSystem } from '../target-system.ts';

export interface StandbySystem {
  /** To make files through. */
  readonly system: TargetSystem;
  /** Of directories. */
  readonly ownership: Ownership;
}

/** Where this process may not give files away, they stay its own. @throws LocalFileError */
export async function standbySystem(directory: string): Promise<StandbySystem> {
  const path = join(directory, `${TEMPORARY_PREFIX}owner`);
  try {
    const like = ownershipLike(await stat(directory), {});
    await rm(path, { force: true });
    await using probe = await realTargetSystem.createFile(path);
    const created = await probe.stat();
    try {
      await probe.chown(like.uid, like.gid);
      return { system: ownedSystem(realTargetSystem, like, created), ownership: like };
    } catch (error) {
      if (systemCode(error) !== 'EPERM') throw error;
      const ownership = { ...like, uid: created.uid, gid: created.gid };
      return { system: ownedSystem(realTargetSystem, ownership, created), ownership };
    } finally {
      await rm(path, { force: true });
    }
  } catch (error) {
    throw localFileError('write to', directory, error);
  }
}
