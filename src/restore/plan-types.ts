/** What a plan is made from and what it says: plain data. `plan.ts` makes it, the writers follow it. */
import type { TimedPosition } from '../core/status.ts';
import type { Micros, Position, TxOffset } from '../core/types.ts';
import type { GenerationDocument } from '../layout/generation-document.ts';
import type { HeadDocument } from '../layout/head-document.ts';
import type { GenerationName, LogObject } from '../layout/keys.ts';
import type { LinePart } from '../layout/line.ts';
import type { Listing } from '../layout/listing.ts';
import type { ManifestHeader } from '../layout/manifest.ts';
import type { SnapshotCommit } from './snapshot-commit.ts';

/** What is known of a database's backup without reading any data. */
export interface StoreView {
  readonly head: HeadDocument | null;
  readonly documents: ReadonlyMap<GenerationName, GenerationDocument>;
  /** Those that are there and cannot be read, with why. */
  readonly badDocuments: ReadonlyMap<GenerationName, Error>;
  readonly listing: Listing;
}

/** A manifest as it was listed. */
export interface PlannedManifest {
  readonly generation: GenerationName;
  /** Of the snapshot. */
  readonly tx: TxOffset;
  readonly manifestKey: string;
  readonly manifestBytes: number;
}

/** What was read of a manifest so far. */
export interface ManifestFacts {
  readonly header: ManifestHeader;
  /** The commit that holds the snapshot's transaction; null where the writer's log no longer had it. */
  readonly commit: SnapshotCommit | null;
}

export interface PlanInput {
  /** The destination, for people. */
  readonly source: string;
  readonly view: StoreView;
  /** By key; the planner asks for those that it needs. */
  readonly manifests: ReadonlyMap<string, ManifestFacts>;
  /** Objects that were found to be damaged or gone, by key, with what was found: the plan does without them. */
  readonly unusable: ReadonlyMap<string, Error>;
  /** A full name or a number; default: the head's. */
  readonly generation?: string | undefined;
  /** The point that the plan must end at; default: the newest. */
  readonly target?: TimedPosition | undefined;
}

export type PlanOutcome =
  | { readonly kind: 'plan'; readonly plan: RestorePlan }
  /** The planner must know this manifest's facts first, or that it is unusable. */
  | { readonly kind: 'need'; readonly manifest: PlannedManifest };

/** One log object, and how much of it is wanted. */
export interface LogPiece {
  readonly object: LogObject;
  /** The last commit that is wanted: where a child branched off within the object. Null for all of it. */
  readonly cut: Position | null;
}

/** Pieces of one source segment, contiguous. */
export interface PlannedSegment {
  readonly segment: TxOffset;
  readonly pieces: readonly LogPiece[];
}

export interface PlannedSnapshot extends PlannedManifest, ManifestFacts {}

/** A line that is not restored although it holds commits later than the target. */
export interface AbandonedLine {
  /** Its last generation. */
  readonly generation: GenerationName;
  readonly databaseIdentity: string | null;
  readonly last: TimedPosition;
}

export interface RestorePlan {
  /** The line's last generation. */
  readonly generation: GenerationName;
  readonly databaseIdentity: string | null;
  readonly line: readonly LinePart[];
  readonly target: TimedPosition;
  /** Null where the log alone rebuilds the database. */
  readonly snapshot: PlannedSnapshot | null;
  /** Whether the snapshot's own commit, as the manifest keeps it, begins the log: the log itself no longer holds it. */
  readonly commitFromManifest: boolean;
  readonly segments: readonly PlannedSegment[];
  /** The line's time before the first piece; null where that is not known. */
  readonly timeBefore: Micros | null;
  /** Stored bytes of the log objects and the manifest, and plain bytes of the snapshot: what progress is counted in. */
  readonly workBytes: number;
  /** Objects of the snapshot and of the log. */
  readonly workObjects: number;
  /** The least that will be written. */
  readonly plainBytesMin: number;
  readonly abandoned: readonly AbandonedLine[];
  /** Objects of the line's last generation that begin behind the target; null where there is none. */
  readonly beyond: { readonly objects: number; readonly last: TxOffset } | null;
}
