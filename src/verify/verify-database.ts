/** The check of one database's backup: quick from names and documents, deep from every byte, or from a part of them. */
import type { Log } from '../core/log.ts';
import { packKey } from '../layout/keys.ts';
import type { FetchOptions } from '../restore/fetch-parts.ts';
import type { RecoverableRange } from '../restore/recoverable.ts';
import { recoverableRanges } from '../restore/recoverable.ts';
import { chooseGeneration } from '../layout/line.ts';
import type { ManifestFacts } from '../restore/plan-types.ts';
import { checkChain } from './check-chain.ts';
import { checkLogObjects } from './check-log-objects.ts';
import { checkManifests, readManifests } from './check-manifests.ts';
import { checkPacks } from './check-packs.ts';
import { Effects } from './effects.ts';
import type { Finding } from './finding.ts';
import { isBad } from './is-bad.ts';
import { type CheckedView, readView } from './read-view.ts';
import { isInSample, type Sample } from './sample.ts';

export interface VerifyProgress {
  readonly bytesDone: number;
  readonly bytesTotal: number;
  readonly objectsDone: number;
  readonly objectsTotal: number;
}

export interface VerifyDatabaseOptions {
  /** Its client's prefix is the database's. */
  readonly fetch: FetchOptions;
  /** Null: names and documents alone. */
  readonly deep: Sample | null;
  readonly log: Log;
  readonly progress?: (progress: VerifyProgress) => void;
}

export interface VerifiedDatabase {
  readonly findings: readonly Finding[];
  /** Nothing was ever stored there. */
  readonly isEmpty: boolean;
  readonly generations: number;
  readonly objects: number;
  /** As listed, of log objects, manifests and packs. */
  readonly bytes: number;
  /** Whose content was read. */
  readonly objectsRead: number;
  readonly bytesRead: number;
  /**
   * Of the line that a restore takes, by names, without what was found to be damaged; null where it cannot be walked, or
   * there is none.
   */
  readonly recoverable: readonly RecoverableRange[] | null;
}

/** Objects and packs that are read at once; each reads ahead by itself. */
const AT_ONCE_MAX = 4;

/** @throws what the client throws: a store that cannot be asked proves nothing */
export async function verifyDatabase(options: VerifyDatabaseOptions): Promise<VerifiedDatabase> {
  const { fetch, deep } = options;
  const view = await readView({ ...fetch, ...options });
  const read = await readManifests({ view, fetch, withCommits: deep !== null });
  const effects = new Effects(view, read.facts);
  // Never as the arguments of one call: a store may have lost a hundred thousand objects.
  let findings: readonly Finding[] = [
    ...view.findings,
    ...checkChain({ view, effects }),
    ...checkManifests(read, { view, effects }),
  ];
  const logObjects = [...view.listing.logObjects.values()].flat();
  const objects = deep ? logObjects.filter(({ key }) => isInSample(key, deep)) : [];
  const packs = new Map(deep ? [...view.listing.packs].filter(([hash]) => isInSample(packKey(hash), deep)) : []);
  const bytesTotal = sum(objects.map(({ size }) => size)) + sum(packs.values());
  const objectsTotal = objects.length + packs.size;
  let bytesDone = 0;
  let objectsDone = 0;
  const onRead = (bytes: number): void => {
    bytesDone += bytes;
    objectsDone += 1;
    options.progress?.({ bytesDone, bytesTotal, objectsDone, objectsTotal });
  };
  if (deep !== null) {
    const common = { effects, fetch, atOnce: Math.min(AT_ONCE_MAX, fetch.parallelism) };
    findings = [
      ...findings,
      ...(await checkLogObjects({ ...common, view, objects, manifests: read.facts, onObject: onRead })),
      ...(await checkPacks({ ...common, manifests: read.manifests, packs, onPack: onRead })),
    ];
  }
  const manifests = [...view.listing.manifests.values()].flat();
  return {
    findings: sorted(findings),
    isEmpty: !view.listing.generations.some(({ holdsData }) => holdsData),
    generations: view.listing.generations.length,
    objects: logObjects.length + manifests.length + view.listing.packs.size,
    bytes: sum([...logObjects, ...manifests].map(({ size }) => size)) + sum(view.listing.packs.values()),
    objectsRead: objectsDone,
    bytesRead: bytesDone,
    recoverable: rangesOf(view, { manifests: read.facts, unusable: effects.unusable }),
  };
}

function rangesOf(
  view: CheckedView,
  known: { readonly manifests: ReadonlyMap<string, ManifestFacts>; readonly unusable: ReadonlyMap<string, Error> },
): readonly RecoverableRange[] | null {
  const generation = chooseGeneration(view.head, view.listing.generations);
  if (generation === null) return null;
  try {
    return recoverableRanges(view, generation, known);
  } catch (error) {
    if (isBad(error)) return null;
    throw error;
  }
}

const sum = (values: Iterable<number>): number => {
  let total = 0;
  for (const value of values) total += value;
  return total;
};

/** Damage first; otherwise as they were found. What two checks found of one object is told once. */
export function sorted(findings: readonly Finding[]): Finding[] {
  const told = new Set<string>();
  const once = findings.filter(({ key, kind }) => {
    const name = `${kind} ${key}`;
    const isNew = key === null || !told.has(name);
    told.add(name);
    return isNew;
  });
  const of = (severity: Finding['severity']): Finding[] => once.filter((finding) => finding.severity === severity);
  return [...of('damage'), ...of('note')];
}
