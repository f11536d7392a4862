/** Damage in the backup of a server, beside that in its databases. */
import { crc32cValue, txOffset } from '../../src/core/types.ts';
import { generationKey, makeGenerationName } from '../../src/layout/keys.ts';
import { replicaPrefix } from '../../src/layout/server-keys.ts';
import { IMAGE_TIME, imageAt, type PlantedServer } from '../support/planted-backup.ts';
import type { Planted } from './planted.ts';

const FORMAT = (text: string): string => text.replace('"format":1', '"format":2');
const FILES = ['server/head.json', 'server/generations/00000001-00000001/generation.json', 'manifest.json'] as const;

const documents: readonly Planted<PlantedServer>[] = FILES.flatMap((name) => [
  { name: `${name} altered`, kind: 'altered', plant: (backup) => backup.flipped(backup.keyOf(name)) },
  {
    name: `${name} of a newer format`,
    kind: 'unsupported',
    plant: (backup) => backup.rewriteDocument(backup.keyOf(name), FORMAT),
  },
]);

export const PLANTED_IN_SERVER: readonly Planted<PlantedServer>[] = [
  ...documents,
  { name: 'format.json missing', kind: 'missing', plant: (backup) => backup.remove('format.json') },
  { name: 'format.json altered', kind: 'altered', plant: (backup) => backup.flipped('format.json') },
  { name: 'head.json missing', kind: 'missing', plant: (backup) => backup.remove(FILES[0]) },
  { name: 'generation.json missing', kind: 'missing', plant: (backup) => backup.remove(FILES[1]) },
  {
    name: 'a parent that is not there',
    kind: 'missing',
    plant: async ({ builder, image }) => {
      const generation = makeGenerationName(1, 'deadbeef');
      await builder.putGeneration(2, { ...image, generation });
      return `server/${generationKey(generation)}`;
    },
  },
  {
    name: 'a line that leads nowhere',
    kind: 'contradiction',
    plant: async ({ builder, image }) => {
      await builder.putHead(
        await builder.putGeneration(2, { ...image, generation: makeGenerationName(1, 'deadbeef') }),
      );
      return null;
    },
  },
  {
    name: 'a manifest removed',
    kind: 'unneeded',
    severity: 'note',
    plant: async (backup) => {
      await backup.remove(backup.image.manifestKey);
      return null;
    },
  },
  {
    name: 'a file of a whole image that none names',
    kind: 'unneeded',
    severity: 'note',
    plant: (backup) => {
      const key = backup.keyOf('/images/').replace(/[^/]+$/, '9.zst');
      backup.client.store.set(key, Buffer.from('x'));
      return key;
    },
  },
  { name: 'a file missing', kind: 'missing', plant: (backup) => backup.remove(backup.keyOf('/0.zst')) },
  { name: 'a program missing', kind: 'missing', plant: (backup) => backup.remove(backup.keyOf('program-bytes')) },
  { name: 'a file altered', kind: 'altered', deep: true, plant: (backup) => backup.flipped(backup.keyOf('/0.zst')) },
  {
    name: 'another program',
    kind: 'altered',
    deep: true,
    plant: (backup) => backup.rewriteFrame(backup.keyOf('program-bytes'), () => Buffer.from('q')),
  },
  {
    name: 'something at the root',
    kind: 'foreign',
    severity: 'note',
    plant: (backup) => {
      backup.client.store.set('junk', Buffer.from('x'));
      return 'junk';
    },
  },
  {
    name: 'something beside the images',
    kind: 'foreign',
    severity: 'note',
    plant: (backup) => {
      backup.client.store.set('server/junk', Buffer.from('x'));
      return 'server/junk';
    },
  },
  {
    name: 'a database of the newest image that is gone',
    kind: 'missing',
    plant: async ({ builder, image: { generation } }) => {
      const position = { generation, tx: txOffset(5n), crc: crc32cValue(5) };
      await builder.putImage(generation, imageAt(IMAGE_TIME + 1_000_000n, { replicas: [1n, 2n], position }));
      return replicaPrefix(2n);
    },
  },
  {
    name: 'a hole in one of its databases',
    kind: 'altered',
    deep: true,
    plant: (backup) => backup.flipped(`${replicaPrefix(1n)}${backup.logKey(2)}`),
  },
];
