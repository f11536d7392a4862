/** What a snapshot's manifest says of it, without reading the snapshot: one request, and one for its own commit. */
import type { FetchOptions } from '../restore/fetch-parts.ts';
import type { ManifestFacts, PlannedManifest } from '../restore/plan-types.ts';
import { readManifestHeader, readPlace } from '../restore/read-snapshot.ts';
import { decodeSnapshotCommit } from '../restore/snapshot-commit.ts';

/** @throws CorruptionError, UnsupportedFormatError, ObjectNotFoundError, and what the client throws */
export async function readManifestFacts(manifest: PlannedManifest, fetch: FetchOptions): Promise<ManifestFacts> {
  const { manifestKey: key, tx } = manifest;
  const header = await readManifestHeader(manifest, fetch);
  const bytes = header.commit && (await readPlace(header.commit, fetch));
  return { header, commit: bytes && decodeSnapshotCommit(bytes, { tx, key }) };
}
