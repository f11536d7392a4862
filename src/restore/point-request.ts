/** What point a user asks for, and what is found for it: plain data. */
import type { TimedPosition } from '../core/status.ts';
import type { Crc32c, Micros, TxOffset } from '../core/types.ts';

export type PointRequest =
  /** The state after this transaction. */
  | { readonly kind: 'tx'; readonly tx: TxOffset }
  /** The last commit before the first one that is later, by the line's time. */
  | { readonly kind: 'timestamp'; readonly time: Micros }
  /** The last commit before the newest one whose first transaction called this reducer. */
  | { readonly kind: 'before-reducer'; readonly reducer: string };

/** A commit, as an object or a manifest holds it. */
export interface PointCommit {
  readonly first: TxOffset;
  readonly last: TxOffset;
  readonly crc: Crc32c;
  /** Its own; null when its first record has none, or a strange one. */
  readonly time: Micros | null;
  /** Null where its first transaction was not made by a reducer call. */
  readonly reducer: string | null;
}

export interface ResolvedPoint {
  readonly request: PointRequest;
  /** Where the restore ends. */
  readonly target: TimedPosition;
  /** The commit that ends there; null with `tx`, where names alone may tell the target. */
  readonly commit: PointCommit | null;
  /** The first commit that is not restored; null with `tx`, and where the line ends with the target. */
  readonly next: PointCommit | null;
}
