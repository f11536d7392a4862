/** The port through which a standby keeps servers out of its directory. */
export interface DirectoryLock extends AsyncDisposable {
  /** To be asked before each write. @throws TargetInUseError when the lock is lost, or a server has the directory open */
  check(): Promise<void>;
}

/** @throws TargetInUseError when a server, or another standby, has the directory open */
export type LockDirectory = (directory: string) => Promise<DirectoryLock>;
