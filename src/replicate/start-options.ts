/** What a start is given: its place, its rights, and what is known from before. */
import type { TailPosition } from '../capture/commit-run.ts';
import type { LocalFileError } from '../core/errors.ts';
import type { ProcessIdentity } from '../core/process-identity.ts';
import type { GenerationReason } from '../layout/generation-document.ts';
import type { LocalPlace } from './local-facts.ts';
import type { TakeHeadOptions } from './take-head.ts';

export interface StartOptions extends TakeHeadOptions, LocalPlace {
  /** Told once the local log is there. */
  readonly onLog?: () => void;
  /** Told once the store has answered. */
  readonly onAnswer?: () => void;
  /** Aborted by who wants no lease any more: waiting for one ends then. */
  readonly draining?: AbortSignal;
  /** Whether another owner's head may be taken. */
  readonly takeover?: boolean;
  /** Whether to wait for a lease of our owner for as long as it is held. */
  readonly standby?: boolean;
  /** Whether this is a single pass, which waits for no process that is seen to run on this machine. */
  readonly once?: boolean;
  /** Whether a process is proven to have ended. Default: by this machine's /proc. */
  readonly isProvenDead?: (process: ProcessIdentity) => Promise<boolean>;
  /** What the episode before has learnt. */
  readonly carried?: Carried;
  /** Whether a new generation may begin, for this reason. Default: always. */
  readonly mayBegin?: (reason: GenerationReason) => boolean;
}

/** What is known from before, by the same process. */
export interface Carried {
  /** Where the log was found to be damaged: looked at again. */
  readonly damage?: TailPosition | null;
  /** Why a file of the log cannot be read, which has lasted: what is looked at is looked at through it. */
  readonly unreadable?: LocalFileError | null;
  /** The local log may be another one than the one that was read: all that is stored is compared, not the end alone. */
  readonly inDoubt?: boolean;
  /** The session under which this process held the head before: it writes no more. */
  readonly endedSession?: string | null;
  /** Of the database whose snapshots are stored, where the generation itself does not name it. */
  readonly storedIdentity?: string | null;
}
