/** What the engines tell about themselves: plain data, asked for when somebody looks, so that watching costs nothing. */
import type { Micros, Position, TxOffset } from './types.ts';

export type DatabaseState = 'waiting' | 'starting' | 'streaming' | 'stopped';

export interface TimedPosition extends Position {
  /** The greatest server time up to and including this commit. */
  readonly time: Micros;
}

export interface DamageStatus {
  /** The segment's name. */
  readonly file: string;
  /** In the segment's plain bytes. */
  readonly byte: number;
  /** The first transaction that cannot be read. */
  readonly tx: TxOffset;
  readonly message: string;
}

export interface DatabaseStatus {
  /** The replica directory, as configured. */
  readonly database: string;
  /** The destination's URL without secrets. */
  readonly destination: string;
  readonly state: DatabaseState;
  /** Whether the destination has answered since the start. A waiting database has not asked it. */
  readonly storeAnswered: boolean;
  readonly generation: string | null;
  /** Why that generation began: first, takeover, rolled-back, gap, damaged or replaced. */
  readonly generationReason?: string | null;
  /** How many generations this process has begun, by reason. */
  readonly generationsBegun?: Readonly<Record<string, number>>;
  /** Where the local log is bad or lacks something, so that the backup waits or has begun anew; null: nowhere. */
  readonly damage?: DamageStatus | null;
  /** Whether the store guards the lease (`exclusive`) or nothing but reading does (`advisory`); null until it is taken. */
  readonly leaseMode?: 'exclusive' | 'advisory' | null;
  /** The end of the checked local log, as far as it has been read. */
  readonly local: TimedPosition | null;
  /** The end of the unbroken chain of stored commits. */
  readonly stored: TimedPosition | null;
  /** Transactions read locally and not yet stored. */
  readonly lagTransactions: number;
  /**
   * Seconds since the oldest commit was noticed that is not stored, or, before all has been compared with the store, not
   * known to be; 0 when all is stored.
   */
  readonly lagSeconds: number;
  /** When a commit or snapshot was last acknowledged by the store, or the store proven up to date. */
  readonly lastSuccess: Micros | null;
  readonly lastError: { readonly code: string; readonly message: string; readonly at: Micros } | null;
  readonly newestSnapshot: TxOffset | null;
  /** Why a snapshot that is newer than the newest stored one could not be stored; null or absent: none failed. */
  readonly snapshotProblem?: string | null;
  /** The first transaction of a line that begins above 0 and holds no snapshot: nothing of it can be restored yet. */
  readonly unrestorableFrom?: TxOffset | null;
  readonly counters: {
    readonly commits: number;
    readonly logObjects: number;
    readonly logBytesPlain: number;
    readonly logBytesStored: number;
    readonly snapshots: number;
    readonly packs: number;
    readonly packBytesStored: number;
  };
}

/**
 * Images of a server data directory's own files. waiting: no server has made a control-db there yet. watching: all that
 * can be stored is. copying: something changed and is not stored yet.
 */
export type ServerImageState = 'waiting' | 'starting' | 'copying' | 'watching' | 'stopped';

export interface ServerImageStatus {
  /** The server data directory, as configured. */
  readonly dataDirectory: string;
  /** The destination's URL without secrets. */
  readonly destination: string;
  readonly state: ServerImageState;
  /** Whether the destination has answered since the start. A waiting directory has not asked it. */
  readonly storeAnswered: boolean;
  readonly generation: string | null;
  readonly leaseMode: 'exclusive' | 'advisory' | null;
  /** Of the newest image in the line; null while there is none. */
  readonly lastImage: Micros | null;
  /** Since this process started. */
  readonly imagesStored: number;
  readonly programsStored: number;
  /** Seconds since a change was noticed that is not stored; 0 when all is. */
  readonly pendingSeconds: number;
  /** When the store last held all that was there. */
  readonly lastSuccess: Micros | null;
  readonly lastError: { readonly code: string; readonly message: string; readonly at: Micros } | null;
}

/** waiting: the line ends before the standby does, and agrees with it that far. */
export type StandbyState = 'starting' | 'restoring' | 'following' | 'waiting' | 'stopped';

/** A restored directory that is kept up to date. */
export interface StandbyStatus {
  readonly directory: string;
  /** The destination's URL without secrets. */
  readonly destination: string;
  readonly state: StandbyState;
  /** Whether the destination has answered since the start. */
  readonly storeAnswered: boolean;
  /** The line's last generation. */
  readonly generation: string | null;
  /** The last commit that is durable in the directory. */
  readonly position: TimedPosition | null;
  /** Transactions that are listed and not yet applied. */
  readonly lagTransactions: number;
  /** Seconds since the oldest of these was first seen in a listing; 0 when all is applied. */
  readonly lagSeconds: number;
  /** When the store was last asked successfully what there is. */
  readonly lastSuccess: Micros | null;
  /** Seconds since then, or since the start. */
  readonly silentSeconds: number;
  readonly lastError: { readonly code: string; readonly message: string; readonly at: Micros } | null;
  readonly counters: { readonly logObjects: number; readonly logBytesStored: number };
}

/** Scheduled drills of one path from one destination, since this process started. */
export interface DrillStatus {
  /** As configured. */
  readonly database: string;
  /** The destination's URL without secrets. */
  readonly destination: string;
  readonly running: boolean;
  readonly lastSuccess: Micros | null;
  /** Of the last one that succeeded: restore, check and command; null while there is none. */
  readonly lastDurationSeconds: number | null;
  /** The point that it reached; of a whole server, of its first database. */
  readonly lastPosition: TimedPosition | null;
  readonly successes: number;
  readonly failures: number;
  readonly lastFailure: { readonly code: string; readonly message: string; readonly at: Micros } | null;
}

export interface StoreOperationCounters {
  requests: number;
  errors: number;
  bytesSent: number;
  bytesReceived: number;
  seconds: number;
}

export type StoreOperation = 'put' | 'get' | 'head' | 'list' | 'delete';

/** Requests to one destination. `requests` are calls of the contract; a listing counts each page. */
export interface StoreCounters {
  readonly destination: string;
  /** The newest failure that may pass, while no call has been answered since; null or absent: the store answers. */
  readonly failing?: { readonly code: string; readonly message: string; readonly at: Micros } | null;
  readonly operations: Readonly<Record<StoreOperation, Readonly<StoreOperationCounters>>>;
}
