/** Damage in the backup of one database that documents and names tell. */
import { crc32cValue, type Position, txOffset } from '../../src/core/types.ts';
import { generationKey, makeGenerationName } from '../../src/layout/keys.ts';
import { type PlantedBackup, SMALL, withTime } from '../support/planted-backup.ts';
import type { RecordedCommit } from '../support/recorded-log.ts';
import { positionOf } from '../support/store-builder.ts';
import type { Planted } from './planted.ts';

const commitAt = ({ store }: PlantedBackup, index: number): RecordedCommit => store.commits.at(index) as RecordedCommit;
const FORMAT = (text: string): string => text.replace('"format":1', '"format":2');
const OTHER = '00000bad';

/** Children of each other, from number 2 on, each at its position. */
async function putChildren(
  { store }: PlantedBackup,
  points: readonly { readonly of: number; readonly position: Position }[],
): Promise<string> {
  const names = [store.generation];
  for (const [index, { of, position }] of points.entries()) {
    const generation = names[of - 1] ?? makeGenerationName(of, 'deadbeef');
    names.push(await store.builder.putGeneration({ number: index + 2, parent: { generation, position } }));
  }
  return generationKey(names.at(-1) as (typeof names)[0]);
}

const documents: readonly Planted<PlantedBackup>[] = ['format.json', 'head.json', 'generation.json'].flatMap((name) => [
  { name: `${name} altered`, kind: 'altered', plant: (backup) => backup.flipped(backup.keyOf(name)) },
  { name: `${name} missing`, kind: 'missing', plant: (backup) => backup.remove(backup.keyOf(name)) },
  {
    name: `${name} of a newer format`,
    kind: 'unsupported',
    plant: (backup) => backup.rewriteDocument(backup.keyOf(name), FORMAT),
  },
]);

const lines: readonly Planted<PlantedBackup>[] = [
  {
    name: 'a parent of which nothing is left',
    kind: 'missing',
    plant: async (backup) => {
      const position = positionOf(commitAt(backup, 9));
      await putChildren(backup, [
        { of: 1, position },
        { of: 1, position },
        { of: 9, position },
      ]).catch(() => undefined);
      const generation = makeGenerationName(1, 'deadbeef');
      await backup.store.builder.putGeneration({ number: 5, parent: { generation, position } });
      return generationKey(generation);
    },
  },
  {
    name: 'a head that names a generation that is not there',
    kind: 'missing',
    plant: async (backup) => {
      const generation = makeGenerationName(7, 'deadbeef');
      await backup.store.builder.putHead(generation, commitAt(backup, -1));
      return generationKey(generation);
    },
  },
  {
    name: 'a child at another commit than its parent begins at',
    kind: 'contradiction',
    plant: (backup) => {
      const position = positionOf(commitAt(backup, 50));
      return putChildren(backup, [
        { of: 1, position },
        { of: 2, position: { ...position, crc: crc32cValue(7) } },
      ]);
    },
  },
  {
    name: 'a parent that is not older',
    kind: 'altered',
    plant: async (backup) => {
      const child = await putChildren(backup, [{ of: 1, position: positionOf(commitAt(backup, 50)) }]);
      return backup.rewriteDocument(child, (text) => text.replace('"generation":"00000001', '"generation":"00000009'));
    },
  },
  {
    name: 'a child behind the end of its parent',
    kind: 'hole',
    plant: async (backup) => {
      await putChildren(backup, [{ of: 1, position: { tx: txOffset(99_999n), crc: crc32cValue(1) } }]);
      return null;
    },
  },
];

const names: readonly Planted<PlantedBackup>[] = [
  { name: 'a log object missing', kind: 'hole', plant: (b) => b.remove(b.logKey(3)).then(() => null) },
  { name: 'the first log object missing', kind: 'hole', plant: (b) => b.remove(b.logKey(0)).then(() => null) },
  { name: 'the last log object missing', kind: 'hole', plant: (b) => b.remove(b.logKey(-1)).then(() => null) },
  {
    name: 'a hole that nobody knows of',
    kind: 'unreachable',
    severity: 'note',
    plant: async (backup) => {
      await backup.store.builder.putHead(backup.store.generation, commitAt(backup, 10));
      await backup.remove(backup.logKey(-2));
      return null;
    },
  },
  {
    name: 'an object that nothing leads to',
    kind: 'unreachable',
    severity: 'note',
    plant: (backup) => {
      const key = backup.logKey(2).replace(/[0-9a-f]{8}(?=-[0-9a-f]{8}\.zst$)/, OTHER);
      backup.client.store.set(key, backup.bytesOf(backup.logKey(2)));
      return key;
    },
  },
  {
    name: 'older commits gone, with a snapshot in their place',
    kind: 'trimmed',
    severity: 'note',
    plant: async (backup) => {
      const first = (key: string): bigint => BigInt(/(\d{20})-\d{20}\./.exec(key)?.[1] ?? 0);
      const old = backup.store.logKeys.filter((key) => first(key) < 147n);
      await backup.client.delete(old);
      const commit = backup.store.commits.find(({ last }) => last === 180n) ?? null;
      const last = backup.store.logKeys.filter((key) => first(key) >= 147n && first(key) <= 180n);
      await backup.client.delete(last.slice(0, -1));
      await backup.store.builder.putSnapshot(backup.store.generation, { replicaDir: SMALL, tx: 180n, commit });
      return null;
    },
  },
  {
    name: 'two commits at one transaction',
    kind: 'contradiction',
    plant: (backup) => {
      const key = backup.logKey(2);
      backup.client.store.set(key.replace(/[0-9a-f]{8}\.zst$/, `${OTHER}.zst`), backup.bytesOf(key));
      return key;
    },
  },
  {
    name: 'an object that does not follow the one before',
    kind: 'contradiction',
    plant: (b) => b.renamed(b.logKey(2), (key) => key.replace(/[0-9a-f]{8}(?=-[0-9a-f]{8}\.zst$)/, OTHER)),
  },
  {
    name: 'a head with another commit than the log',
    kind: 'contradiction',
    plant: async (backup) => {
      await backup.store.builder.putHead(backup.store.generation, { ...commitAt(backup, -1), crc: crc32cValue(7) });
      return backup.logKey(-1);
    },
  },
  {
    name: 'a name with an earlier time than the one before',
    kind: 'misnamed',
    plant: (backup) => backup.renamed(backup.logKey(2), (key) => withTime(key, -3_600_000_000n)),
  },
  {
    name: 'a name with another segment',
    kind: 'misnamed',
    plant: (b) => b.renamed(b.logKey(2), (key) => key.replace(/log\/0\/\d{20}/, `log/0/${'1'.padStart(20, '0')}`)),
  },
  {
    name: 'something that is not ours',
    kind: 'foreign',
    severity: 'note',
    plant: (backup) => {
      backup.client.store.set('lost+found/x', Buffer.from('x'));
      return 'lost+found/x';
    },
  },
];

export const PLANTED_IN_DATABASE = [...documents, ...lines, ...names];
