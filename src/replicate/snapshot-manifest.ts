/** From where a snapshot's objects lie to the lines of its manifest. Pure. */
import { assert } from '../core/errors.ts';
import type { Micros } from '../core/types.ts';
import type { ManifestHeader, PackedObject, PackLine, PackPlace } from '../layout/manifest.ts';
import type { Snapshot } from '../spacetimedb/snapshot-file.ts';

/** Names of what is packed beside the objects; hashes have 64 hex digits, so that they cannot meet. */
export const SNAPSHOT_FILE = 'snapshot file';
export const OWN_COMMIT = 'own commit';

export interface PackedSnapshot {
  /** Hashes, in the order of the snapshot file. */
  readonly objects: readonly string[];
  /** Of the objects, of SNAPSHOT_FILE, and of OWN_COMMIT where the log held it. */
  readonly places: ReadonlyMap<string, PackPlace>;
  /** Objects that were not stored before. */
  readonly newObjects: number;
}

/** One line for each pack that the snapshot needs. */
export function packLines(
  { objects, places }: PackedSnapshot,
  { packBytes }: { packBytes: (pack: string) => number | undefined },
): readonly PackLine[] {
  const packs = new Map<string, PackedObject[]>();
  const objectsIn = ({ pack }: PackPlace): PackedObject[] => {
    const found = packs.get(pack) ?? [];
    packs.set(pack, found);
    return found;
  };
  for (const hash of objects) {
    const place = requirePlace(places, hash);
    const { offset, length, plainLength } = place;
    objectsIn(place).push({ hash, offset, length, plainLength });
  }
  for (const extra of [SNAPSHOT_FILE, OWN_COMMIT]) {
    const place = places.get(extra);
    if (place !== undefined) objectsIn(place);
  }
  return [...packs].map(([pack, packed]) => {
    const bytes = packBytes(pack);
    assert(bytes !== undefined, `a pack of unknown length: ${pack}`);
    return { pack, bytes, objects: packed };
  });
}

export function manifestHeader(
  snapshot: Snapshot,
  { packed, time, packs }: { packed: PackedSnapshot; time: Micros; packs: number },
): ManifestHeader {
  const { objects, places } = packed;
  return {
    databaseIdentity: snapshot.databaseIdentity,
    replicaId: snapshot.replicaId,
    tx: snapshot.txOffset,
    time,
    snapshotFile: requirePlace(places, SNAPSHOT_FILE),
    commit: places.get(OWN_COMMIT) ?? null,
    objects: objects.length,
    plainBytes: objects.reduce((sum, hash) => sum + requirePlace(places, hash).plainLength, 0),
    packs,
  };
}

function requirePlace(places: ReadonlyMap<string, PackPlace>, name: string): PackPlace {
  const place = places.get(name);
  assert(place !== undefined, `no place for ${name}`);
  return place;
}
