/** Invariant: a log of hundreds of thousands of objects is walked whole, also where most of them are reached by no walk. */
import { expect, test } from 'vitest';
import { crc32cValue, micros, txOffset } from '../core/types.ts';
import { decodeGenerationDocument, encodeGenerationDocument } from './generation-document.ts';
import { generationKey, type LogObject, makeGenerationName } from './keys.ts';
import { walkLine } from './walk-line.ts';

const OBJECTS = 300_000;

test('unreached', () => {
  const generation = makeGenerationName(1, '00000001');
  const document = decodeGenerationDocument(
    encodeGenerationDocument({
      generation,
      databaseIdentity: null,
      replicaId: null,
      createdAt: micros(1n),
      reason: 'first',
      parent: null,
      writer: { owner: 'a', host: 'a', version: '0' },
    }),
    { key: generationKey(generation) },
  );
  const objects = Array.from({ length: OBJECTS }, (_, index): LogObject => {
    const tx = txOffset(BigInt(index + 1));
    const crcs = { prev: crc32cValue(index + 1), crc: crc32cValue(index + 2) };
    return {
      generation,
      level: 0,
      segment: txOffset(0n),
      first: tx,
      last: tx,
      time: micros(1n),
      ...crcs,
      key: `${index}`,
      size: 1,
    };
  });
  const walk = walkLine([{ generation, until: null }], {
    objects: new Map([[generation, objects]]),
    documents: new Map([[generation, document]]),
  });
  expect(walk.steps).toEqual([]);
  expect(walk.unreached).toHaveLength(OBJECTS);
});
