/** What a check of a backup tells: one finding for each thing that is not as it was written. Plain data. */
import type { Micros, TxOffset } from '../core/types.ts';
import type { GenerationName } from '../layout/keys.ts';

/** damage: something is lost or altered. note: worth knowing, and nothing is lost: leftovers, foreign objects. */
export type Severity = 'damage' | 'note';

export type FindingKind =
  | 'missing'
  | 'altered'
  | 'wrong-size'
  /** Objects that should join do not, or the log ends before what is known to be stored. */
  | 'hole'
  /** Two histories in one generation, a parent that does not fit its child. */
  | 'contradiction'
  | 'misnamed'
  /** Older commits are gone, as after a retention: the line begins with a snapshot. */
  | 'trimmed'
  | 'unreachable'
  | 'unneeded'
  | 'foreign'
  /** Something of a format that this release does not know. */
  | 'unsupported'
  /** More than the memory budget holds: it was not read, and counts as damage until it is. */
  | 'unchecked';

export interface Finding {
  readonly severity: Severity;
  readonly kind: FindingKind;
  /** The object, below the checked prefix; null where it is no single one. */
  readonly key: string | null;
  /** What was found: a clause without a full stop. */
  readonly message: string;
  /** What it means for a restore. */
  readonly effect: string;
  /** What to do. */
  readonly remedy: string;
}

/** Transactions that a restore could have ended with and cannot. */
export interface LostRange {
  /** Of the line that ends with this generation. */
  readonly generation: GenerationName;
  readonly from: TxOffset;
  readonly to: TxOffset;
  /** The line's time at the last point before; null where there is none. */
  readonly after: Micros | null;
  /** At the first point behind; null where there is none. */
  readonly before: Micros | null;
}

export const NO_EFFECT = 'every recovery point is still there';

export const REMEDY = {
  otherCopy: 'Look for an older version of this object in the store, or for a copy of it at another destination.',
  nextSnapshot: 'A new snapshot, which the next one that the server writes will be, makes later points safe.',
  none: 'Nothing needs to be done.',
  newerRelease: 'Check with the release of stdb-replicate that wrote this backup, or a newer one.',
  writer: 'The next start of `replicate` writes it anew.',
} as const;
