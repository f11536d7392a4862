/** Every manifest, whole, and whether the packs that it names are there with the sizes that it tells. */
import { CorruptionError, ReplicateError } from '../core/errors.ts';
import { type GenerationName, packKey } from '../layout/keys.ts';
import type { ListedManifest } from '../layout/listing.ts';
import { decodeManifest } from '../layout/manifest-stream.ts';
import type { ManifestHeader, PackLine } from '../layout/manifest.ts';
import { concurrently } from '../restore/concurrently.ts';
import { type FetchOptions, fetchParts } from '../restore/fetch-parts.ts';
import { partCount, PartStream, partsOf } from '../restore/part-stream.ts';
import type { ManifestFacts, StoreView } from '../restore/plan-types.ts';
import { checkManifestTx, readPlace } from '../restore/read-snapshot.ts';
import { decodeSnapshotCommit } from '../restore/snapshot-commit.ts';
import type { Effects } from './effects.ts';
import { type Finding, NO_EFFECT, REMEDY } from './finding.ts';
import { damageBehind } from './not-given.ts';
import { badObject } from './read-view.ts';
import { uncheckedFits } from './unchecked.ts';

const PART_BYTES = 512 * 1024;
/** Manifests read at once: each holds a part of the budget. */
const AT_ONCE = 4;
/** Packs without a manifest that are named. */
const UNNEEDED_NAMED_MAX = 3;

export interface ReadManifestsOptions {
  readonly view: StoreView;
  readonly fetch: FetchOptions;
  /** Also the commit that each keeps, which lies in a pack. */
  readonly withCommits: boolean;
}

export interface ReadManifest {
  readonly listed: ListedManifest;
  readonly header: ManifestHeader;
  /** Bytes by pack. */
  readonly packs: ReadonlyMap<string, number>;
}

export interface ReadManifests {
  readonly manifests: readonly ReadManifest[];
  /** With `withCommits`, of those whose commit could be read. */
  readonly facts: ReadonlyMap<string, ManifestFacts>;
  /** By key, with the generation: what is wrong with it. */
  readonly bad: readonly { readonly listed: ListedManifest; readonly error: Error }[];
  /** What the budget does not hold. */
  readonly unchecked: readonly Finding[];
}

/** The packs of a manifest, in its order. @throws CorruptionError, ObjectNotFoundError, UnsupportedFormatError */
export async function* packLines(
  { key, size, tx }: ListedManifest,
  fetch: FetchOptions,
  onHeader: (header: ManifestHeader) => void = () => undefined,
): AsyncGenerator<PackLine, void, void> {
  await using stream = new PartStream(fetchParts(partsOf({ key, size }, PART_BYTES), { ...fetch, parallelism: 1 }));
  const body = stream.next(partCount({ key, size }, PART_BYTES));
  await using manifest = await decodeManifest(body, { key, size, signal: fetch.signal });
  checkManifestTx(manifest.header, { tx, key });
  onHeader(manifest.header);
  yield* manifest.packs;
}

/** @throws what the client throws */
export async function readManifests(options: ReadManifestsOptions): Promise<ReadManifests> {
  const { view, fetch, withCommits } = options;
  const manifests: ReadManifest[] = [];
  const facts = new Map<string, ManifestFacts>();
  const bad: { listed: ListedManifest; error: Error }[] = [];
  const unchecked: Finding[] = [];
  const read = async (listed: ListedManifest): Promise<void> => {
    try {
      const headers: ManifestHeader[] = [];
      const packs = new Map<string, number>();
      const lines = packLines(listed, fetch, (found) => void headers.push(found));
      for await (const { pack, bytes } of lines) packs.set(pack, bytes);
      const [header] = headers;
      if (header === undefined) throw new TypeError('a manifest that was read has a header');
      manifests.push({ listed, header, packs });
      if (withCommits) await readCommit(listed, header);
      else if (header.commit === null) facts.set(listed.key, { header, commit: null });
    } catch (error) {
      // Gone since it was listed: whoever removed it is at work now.
      const found = await damageBehind(error, { key: listed.key, fetch });
      if (found !== null) bad.push({ listed, error: found });
    }
  };
  const readCommit = async (listed: ListedManifest, header: ManifestHeader): Promise<void> => {
    const { key, tx } = listed;
    try {
      const bytes = header.commit && (await readPlace(header.commit, fetch));
      facts.set(key, { header, commit: bytes && decodeSnapshotCommit(bytes, { tx, key }) });
    } catch (error) {
      // A missing pack is told of by the listing, unless that names it.
      const pack = packKey(header.commit?.pack ?? header.snapshotFile.pack);
      const tooLong = uncheckedFits(error, { key: pack, what: `the commit of the snapshot at ${tx}` });
      if (tooLong !== null) return void unchecked.push(tooLong);
      const found = await damageBehind(error, { key: pack, fetch });
      if (found !== null) bad.push({ listed, error: found });
    }
  };
  const all = [...view.listing.manifests.values()].flat();
  await concurrently(all, read, { limit: AT_ONCE });
  manifests.sort((a, b) => (a.listed.key < b.listed.key ? -1 : 1));
  return { manifests, facts, bad, unchecked };
}

/** From the listing and what was read. Pure. */
export function checkManifests(
  { manifests, bad, unchecked }: ReadManifests,
  { view, effects }: { readonly view: StoreView; readonly effects: Effects },
): Finding[] {
  const findings = bad.map(({ listed, error }) => {
    // A commit that cannot be read lies in a pack.
    const key = error instanceof ReplicateError ? error.facts['key'] : null;
    const effect = snapshotEffect(listed, { effects, error });
    return badObject(typeof key === 'string' ? key : listed.key, error, effect);
  });
  findings.push(...unchecked);
  const named = new Set<string>();
  const wrong = new Map<string, { found: number | null; expected: number; by: ReadManifest[] }>();
  for (const manifest of manifests) {
    for (const [pack, bytes] of manifest.packs) {
      named.add(pack);
      const size = view.listing.packs.get(pack) ?? null;
      if (size === bytes) continue;
      const known = wrong.get(pack);
      if (known) known.by.push(manifest);
      else wrong.set(pack, { found: size, expected: bytes, by: [manifest] });
    }
  }
  for (const [pack, { found, expected, by }] of wrong) {
    const key = packKey(pack);
    const message =
      found === null ? `${key} is missing` : `${key} has ${found} bytes where there should be ${expected}`;
    const effect = effectOfManifests(by, effects, new CorruptionError(message));
    const kind = found === null ? 'missing' : 'wrong-size';
    findings.push({ severity: 'damage', kind, key, message, effect, remedy: REMEDY.nextSnapshot });
  }
  // A manifest that cannot be read may name any pack.
  if (bad.length === 0) findings.push(...unneededFindings([...view.listing.packs.keys()].filter((p) => !named.has(p))));
  return findings;
}

function unneededFindings(packs: readonly string[]): Finding[] {
  if (packs.length === 0) return [];
  const names = packs.slice(0, UNNEEDED_NAMED_MAX).map(packKey).join(', ');
  const more = packs.length > UNNEEDED_NAMED_MAX ? `, … (${packs.length} in all)` : '';
  return [
    {
      severity: 'note',
      kind: 'unneeded',
      key: packs.length === 1 ? packKey(packs[0] as string) : null,
      message: `no manifest names ${packs.length === 1 ? 'the pack' : 'the packs'} ${names}${more}`,
      effect: NO_EFFECT,
      remedy: 'They are of a snapshot that is being stored, or was cut off, or whose manifest was removed.',
    },
  ];
}

function snapshotEffect(
  listed: ListedManifest,
  { effects, error }: { readonly effects: Effects; readonly error: Error },
): string {
  const points = effects.ofUnusable(listed.generation, new Map([[listed.key, error]]));
  return `no restore can begin with the snapshot at ${listed.tx}; ${points}`;
}

/** Of something that several snapshots need. */
export function effectOfManifests(by: readonly ReadManifest[], effects: Effects, error: Error): string {
  const txs = by.map(({ listed }) => listed.tx);
  const unusable = new Map(by.map(({ listed }) => [listed.key, error]));
  const generation = by.at(-1)?.listed.generation as GenerationName;
  const points = effects.ofUnusable(generation, unusable);
  return `no restore can begin with the snapshot${txs.length === 1 ? '' : 's'} at ${txs.join(', ')}; ${points}`;
}
