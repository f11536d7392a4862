/** Log objects as a listing gives them, made for tests of walks and lines: small numbers in, names and keys out. */
import { crc32cValue, micros, type Position, txOffset } from '../../src/core/types.ts';
import type { GenerationDocument } from '../../src/layout/generation-document.ts';
import { type GenerationName, type LogObject, logObjectKey, makeGenerationName } from '../../src/layout/keys.ts';

/** The checksum of the commit that ends at `tx`, in a history; 0 before the first. */
export const crcAt = (tx: number, history = 0): number => (tx < 0 ? 0 : 1000 * (history + 1) + tx);

export const position = (tx: number, history = 0): Position => ({
  tx: txOffset(tx),
  crc: crc32cValue(crcAt(tx, history)),
});

export const generationNamed = (number: number): GenerationName => makeGenerationName(number, '1a2b3c4d');

export interface ObjectWish {
  readonly first: number;
  readonly last: number;
  readonly level?: number;
  readonly prev?: number;
  readonly crc?: number;
  readonly generation?: number;
  readonly time?: number;
}

export function logObject({ first, last, level = 0, prev, crc, generation = 1, time }: ObjectWish): LogObject {
  const name = {
    generation: generationNamed(generation),
    level,
    segment: txOffset(0),
    first: txOffset(first),
    last: txOffset(last),
    time: micros(BigInt(time ?? last)),
    prev: crc32cValue(prev ?? crcAt(first - 1)),
    crc: crc32cValue(crc ?? crcAt(last)),
  };
  return { ...name, key: logObjectKey(name), size: 100 };
}

export function generationDocument(number: number, parent?: { number: number; at: Position }): GenerationDocument {
  return {
    generation: generationNamed(number),
    databaseIdentity: null,
    replicaId: null,
    createdAt: micros(0n),
    reason: parent ? 'takeover' : 'first',
    parent: parent ? { generation: generationNamed(parent.number), position: parent.at } : null,
    writer: { owner: 'o', host: 'h', version: '1' },
  };
}

/** `0-9@1` for each object: first, last and level. */
export const shapes = (objects: readonly LogObject[]): string[] =>
  objects.map(({ first, last, level }) => `${first}-${last}@${level}`);
