/** The composition root of `generations`, `snapshots` and `points`. */
import { describeGenerations, type GenerationRow } from '../browse/generations.ts';
import { describeImageGenerations, type ImageGenerationRow } from '../browse/image-generations.ts';
import { describeImages, type ImageRow } from '../browse/images.ts';
import { describePoints, type PointsView } from '../browse/points.ts';
import { describeSnapshots, type SnapshotRow } from '../browse/snapshots.ts';
import { type BrowsedDestination, browseDestinations, type BrowseOptions } from './browse-parts.ts';

export type { BrowsedDestination, BrowsedPart } from './browse-parts.ts';
export type { GenerationRow } from '../browse/generations.ts';
export type { ImageGenerationRow } from '../browse/image-generations.ts';
export type { ImageRow } from '../browse/images.ts';
export type { PointsGap, PointsView } from '../browse/points.ts';
export type { SnapshotRow, SnapshotState } from '../browse/snapshots.ts';

export type BrowsedGenerations =
  | { readonly kind: 'database'; readonly rows: readonly GenerationRow[] }
  | { readonly kind: 'server'; readonly rows: readonly ImageGenerationRow[] };
export type BrowsedSnapshots =
  | { readonly kind: 'database'; readonly rows: readonly SnapshotRow[] }
  | { readonly kind: 'server'; readonly rows: readonly ImageRow[] };
export type BrowsedPoints =
  | { readonly kind: 'database'; readonly points: PointsView }
  | { readonly kind: 'server'; readonly rows: readonly ImageRow[] };

/** As `browseDestinations`. */
export const browseGenerations = (
  urls: readonly string[],
  options: BrowseOptions,
): Promise<readonly BrowsedDestination<BrowsedGenerations>[]> =>
  browseDestinations<BrowsedGenerations>(urls, options, {
    database: async (view) => ({ kind: 'database', rows: describeGenerations(view) }),
    server: async (view) => ({ kind: 'server', rows: describeImageGenerations(view) }),
  });

/** As `browseDestinations`. */
export const browseSnapshots = (
  urls: readonly string[],
  options: BrowseOptions,
): Promise<readonly BrowsedDestination<BrowsedSnapshots>[]> =>
  browseDestinations<BrowsedSnapshots>(urls, options, {
    database: async (view, fetch) => ({ kind: 'database', rows: await describeSnapshots(view, fetch) }),
    server: async (view, fetch) => ({ kind: 'server', rows: await describeImages(view, fetch) }),
  });

/** Of a server's own files: the images of the head's line. @param generation of a database's line; default: the head's */
export const browsePoints = (
  urls: readonly string[],
  options: BrowseOptions & { readonly generation?: string | undefined },
): Promise<readonly BrowsedDestination<BrowsedPoints>[]> =>
  browseDestinations<BrowsedPoints>(urls, options, {
    database: async (view, fetch) => ({
      kind: 'database',
      points: await describePoints(view, { fetch, generation: options.generation }),
    }),
    server: async (view, fetch) => {
      const rows = await describeImages(view, fetch);
      return { kind: 'server', rows: rows.filter(({ onHeadLine }) => onHeadLine) };
    },
  });
