/** Damage in the snapshots of one database, and in what its log objects hold. */
import { packKey } from '../../src/layout/keys.ts';
import { encodeLogObject } from '../../src/layout/log-object.ts';
import type { PackedObject, PackLine } from '../../src/layout/manifest.ts';
import { collect } from '../support/pieces.ts';
import { type PlantedBackup, SMALL, withTime } from '../support/planted-backup.ts';
import type { RecordedCommit } from '../support/recorded-log.ts';
import type { Planted } from './planted.ts';

const FORMAT = (text: string): string => text.replace('"format":1', '"format":2');

/** Its first manifest with other objects in the first pack. */
async function rewriteObjects(
  backup: PlantedBackup,
  change: (objects: readonly PackedObject[]) => readonly PackedObject[],
): Promise<{ manifest: string; pack: string }> {
  let pack = '';
  const manifest = await backup.rewriteManifest(backup.keyOf('manifest.ndjson.zst'), ({ header, packs }) => {
    const [first, ...rest] = packs as [PackLine, ...PackLine[]];
    pack = packKey(first.pack);
    const changed: readonly PackLine[] = [{ ...first, objects: change(first.objects) }, ...rest];
    const all = changed.flatMap(({ objects }) => objects);
    const plainBytes = all.reduce((sum, { plainLength }) => sum + plainLength, 0);
    return { header: { ...header, objects: all.length, plainBytes }, packs: [...changed] };
  });
  return { manifest, pack };
}

const snapshots: readonly Planted<PlantedBackup>[] = [
  { name: 'a manifest altered', kind: 'altered', plant: (b) => b.flipped(b.keyOf('manifest.ndjson.zst')) },
  {
    name: 'a manifest of a newer format',
    kind: 'unsupported',
    plant: (b) => b.rewriteFrame(b.keyOf('manifest.ndjson.zst'), (plain) => Buffer.from(FORMAT(plain.toString()))),
  },
  { name: 'a pack missing', kind: 'missing', plant: (backup) => backup.remove(backup.keyOf('packs/')) },
  { name: 'a pack of another size', kind: 'wrong-size', plant: (backup) => backup.cut(backup.keyOf('packs/')) },
  {
    name: 'a pack that no manifest names',
    kind: 'unneeded',
    severity: 'note',
    plant: (backup) => {
      backup.client.store.set(packKey('ab'.repeat(32)), Buffer.from('x'));
      return packKey('ab'.repeat(32));
    },
  },
  {
    name: 'a pack that no manifest names, altered',
    kind: 'altered',
    deep: true,
    plant: (backup) => {
      backup.client.store.set(packKey('ab'.repeat(32)), Buffer.from('x'));
      return packKey('ab'.repeat(32));
    },
  },
  { name: 'a pack altered', kind: 'altered', deep: true, plant: (backup) => backup.flipped(backup.keyOf('packs/')) },
  {
    name: 'a snapshot file of another database',
    kind: 'altered',
    deep: true,
    plant: async (backup) => {
      let pack = '';
      await backup.rewriteManifest(backup.keyOf('manifest.ndjson.zst'), ({ header, packs }) => {
        ({ pack } = header.snapshotFile);
        return { header: { ...header, databaseIdentity: 'c'.repeat(64) }, packs };
      });
      return packKey(pack);
    },
  },
  {
    name: 'a manifest that leaves out an object',
    kind: 'altered',
    deep: true,
    plant: async (backup) => (await rewriteObjects(backup, (objects) => objects.slice(1))).manifest,
  },
  {
    name: 'a manifest that names an object twice',
    kind: 'altered',
    deep: true,
    plant: async (backup) => (await rewriteObjects(backup, (objects) => [...objects, ...objects.slice(0, 1)])).manifest,
  },
  {
    name: 'a manifest with two places exchanged',
    kind: 'altered',
    deep: true,
    plant: async (backup) => {
      const exchange = ([a, b, ...rest]: readonly PackedObject[]): PackedObject[] =>
        a && b ? [{ ...a, hash: b.hash }, { ...b, hash: a.hash }, ...rest] : [];
      return (await rewriteObjects(backup, exchange)).pack;
    },
  },
  {
    name: 'a snapshot of another history',
    kind: 'contradiction',
    deep: true,
    plant: async (backup) => {
      const { encodeCommit } = await import('../../src/spacetimedb/commit.ts');
      const own = backup.store.commits.find(({ last }) => last === 180n) as RecordedCommit;
      const bytes = encodeCommit({ version: 1, tx: own.first, records: Buffer.from('another history') });
      const commit = { ...own, bytes };
      return await backup.store.builder.putSnapshot(backup.store.generation, { replicaDir: SMALL, tx: 180n, commit });
    },
  },
];

const contents: readonly Planted<PlantedBackup>[] = [
  { name: 'a log object altered', kind: 'altered', deep: true, plant: (backup) => backup.flipped(backup.logKey(2)) },
  { name: 'a log object cut', kind: 'altered', deep: true, plant: (backup) => backup.cut(backup.logKey(2)) },
  {
    name: 'a segment of a newer version',
    kind: 'unsupported',
    deep: true,
    plant: async (backup) => {
      const [first] = backup.store.commits as [RecordedCommit];
      const plain = Buffer.concat([first.header, ...backup.store.commits.slice(0, 40).map(({ bytes }) => bytes)]);
      plain[6] = 9;
      backup.client.store.set(backup.logKey(0), Buffer.concat(await collect(encodeLogObject([plain], { level: 1 }))));
      return backup.logKey(0);
    },
  },
  {
    name: 'a name with another time than its commits',
    kind: 'misnamed',
    deep: true,
    plant: (backup) => backup.renamed(backup.logKey(-1), (key) => withTime(key, 1n)),
  },
];

export const PLANTED_IN_CONTENT = [...snapshots, ...contents];
