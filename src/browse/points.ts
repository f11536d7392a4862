/** Which points of one line can be restored, where the gaps are, and which other lines go on later. */
import type { TimedPosition } from '../core/status.ts';
import type { TxOffset } from '../core/types.ts';
import type { GenerationName } from '../layout/keys.ts';
import { findAbandonedLines } from '../restore/abandoned-lines.ts';
import type { FetchOptions } from '../restore/fetch-parts.ts';
import { isUnusable } from '../restore/follow-plan.ts';
import { lineEnd } from '../restore/plan.ts';
import type { AbandonedLine, ManifestFacts, StoreView } from '../restore/plan-types.ts';
import { type RecoverableRange, recoverableRanges, type RangeEnd } from '../restore/recoverable.ts';
import { readManifestFacts } from './read-manifest-facts.ts';

/** Transactions between two ranges, or behind the last one, that no restore reaches. */
export interface PointsGap {
  /** The last point before it; null where the line's beginning is missing. */
  readonly after: RangeEnd | null;
  /** The first transaction behind it that can be restored; null where nothing behind it can. */
  readonly before: TxOffset | null;
  /** What is known to have been stored behind the last range: how far the head says that it goes. */
  readonly until: TimedPosition | null;
}

export interface PointsView {
  /** The line's last. */
  readonly generation: GenerationName;
  readonly isHead: boolean;
  /** Ascending. */
  readonly ranges: readonly RecoverableRange[];
  /** Ascending. The first one is no damage where the log was never stored from its beginning. */
  readonly gaps: readonly PointsGap[];
  /** Lines that hold later commits. */
  readonly others: readonly AbandonedLine[];
  /** Manifests that cannot be used, by key, with why. */
  readonly unusable: ReadonlyMap<string, Error>;
}

export interface DescribePointsOptions {
  readonly fetch: FetchOptions;
  /** Another line than the head's: a generation's name or number. */
  readonly generation?: string | undefined;
}

/**
 * Names, and the manifests that a range begins with: whether they keep their own commit.
 *
 * @throws NoBackupError, UsageError for an unknown generation; CorruptionError where a document of the line is damaged or
 * missing; what the client throws
 */
export async function describePoints(
  view: StoreView,
  { fetch, generation: asked }: DescribePointsOptions,
): Promise<PointsView> {
  const source = fetch.client.url;
  const generation = lineEnd({ source, view, generation: asked });
  const isHead = generation === lineEnd({ source, view });
  const manifests = new Map<string, ManifestFacts>();
  const unusable = new Map<string, Error>();
  for (;;) {
    const ranges = recoverableRanges(view, generation, { manifests, unusable });
    const unknown = ranges
      .flatMap(({ snapshot }) => manifestsAt(snapshot, view))
      .filter(({ manifestKey: key }) => !manifests.has(key) && !unusable.has(key));
    if (unknown.length === 0) {
      const end = ranges.at(-1)?.to ?? null;
      const others = findAbandonedLines(view, targetOf(end)).filter((line) => line.generation !== generation);
      return { generation, isHead, ranges, gaps: findGaps(ranges, isHead ? view : null), others, unusable };
    }
    for (const manifest of unknown) {
      try {
        manifests.set(manifest.manifestKey, await readManifestFacts(manifest, fetch));
      } catch (error) {
        if (!isUnusable(error)) throw error;
        unusable.set(manifest.manifestKey, error);
      }
    }
  }
}

function manifestsAt(tx: TxOffset | null, { listing }: StoreView) {
  if (tx === null) return [];
  return [...listing.manifests.values()].flatMap((some) =>
    some
      .filter((one) => one.tx === tx)
      .map(({ generation, key, size }) => ({ generation, tx, manifestKey: key, manifestBytes: size })),
  );
}

/** For comparing transactions alone. */
const targetOf = (end: RangeEnd | null): TimedPosition | null =>
  end && ({ tx: end.tx, crc: end.crc ?? 0, time: end.time ?? 0n } as TimedPosition);

/** Pure. @param view with the head whose position the line should reach; null where nothing says so */
export function findGaps(ranges: readonly RecoverableRange[], view: Pick<StoreView, 'head'> | null): PointsGap[] {
  const gaps: PointsGap[] = [];
  let after: RangeEnd | null = null;
  for (const { first, to } of ranges) {
    if (first > (after === null ? 0n : after.tx + 1n)) gaps.push({ after, before: first, until: null });
    after = to;
  }
  const stored = view?.head?.position ?? null;
  if (stored !== null && (after === null || after.tx < stored.tx)) {
    gaps.push({ after, before: null, until: { tx: stored.tx, crc: stored.crc, time: stored.time } });
  }
  return gaps;
}
