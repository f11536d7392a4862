/** Invariant: a log of hundreds of thousands of objects of which thousands are lost is told of whole, and in one pass. */
import { expect, test } from 'vitest';
import { crc32cValue, micros, txOffset } from '../core/types.ts';
import { type LogObject, makeGenerationName } from '../layout/keys.ts';
import { checkGeneration } from './check-generation.ts';

const OBJECTS = 300_000;
/** Of so many one is gone. */
const LOST_OF = 50;

test('each hole is found', () => {
  const generation = makeGenerationName(1, '00000001');
  const common = { generation, level: 0, segment: txOffset(0n), time: micros(1n), size: 1 };
  const objects = Array.from({ length: OBJECTS }, (_, index): LogObject => {
    const tx = txOffset(BigInt(index));
    const crcs = { prev: crc32cValue(index), crc: crc32cValue(index + 1) };
    return { ...common, first: tx, last: tx, ...crcs, key: `${index}` };
  }).filter((_, index) => index % LOST_OF !== LOST_OF - 1);
  const { findings, stretches } = checkGeneration({
    document: { generation, parent: null } as Parameters<typeof checkGeneration>[0]['document'],
    objects,
    known: [],
    hasSnapshot: () => false,
  });
  // The very last one leaves no hole behind it.
  expect(findings).toHaveLength(OBJECTS / LOST_OF - 1);
  expect(stretches).toHaveLength(OBJECTS / LOST_OF);
  expect(stretches.every((stretch) => stretch.objects.length === LOST_OF - 1)).toBe(true);
});
