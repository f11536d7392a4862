/**
 * Invariant: every document comes back as it was written; one that was changed anywhere, is too long, or is of another
 * format is refused by name. Each carries the CRC32C of itself without its last member.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crc32c } from '../core/checksum.ts';
import { CorruptionError, UnsupportedFormatError } from '../core/errors.ts';
import { crc32cValue, formatCrc, micros, txOffset, U64_MAX } from '../core/types.ts';
import { decodeFormatDocument, encodeFormatDocument } from './format-document.ts';
import {
  decodeGenerationDocument,
  encodeGenerationDocument,
  GENERATION_REASONS,
  type GenerationDocument,
} from './generation-document.ts';
import { decodeHeadDocument, encodeHeadDocument, type HeadDocument } from './head-document.ts';
import { decodeDocument, DOCUMENT_BYTES_MAX, encodeDocument } from './json-document.ts';
import { generationKey, makeGenerationName } from './keys.ts';
import { TIME_MAX } from './time.ts';

const time = fc.bigInt({ min: 0n, max: TIME_MAX }).map(micros);
const tx = fc.bigInt({ min: 0n, max: U64_MAX }).map(txOffset);
const crc = fc.integer({ min: 0, max: 0xffff_ffff }).map(crc32cValue);
const text = fc.string({ unit: 'grapheme', maxLength: 60 });
const hash = fc.constantFrom('ab'.repeat(32), '0123456789abcdef'.repeat(4));
const number = fc.integer({ min: 2, max: 99_999_999 });

const generationDocument: fc.Arbitrary<GenerationDocument> = fc
  .record({ number, parentNumber: fc.nat(), tx, crc, hasParent: fc.boolean() })
  .chain((made) =>
    fc.record({
      generation: fc.constant(makeGenerationName(made.number, '1a2b3c4d')),
      databaseIdentity: fc.option(hash),
      replicaId: fc.option(fc.bigInt({ min: 0n, max: U64_MAX })),
      createdAt: time,
      reason: fc.constantFrom(...GENERATION_REASONS),
      parent: fc.constant(
        made.hasParent
          ? {
              generation: makeGenerationName(1 + (made.parentNumber % (made.number - 1)), 'ffffffff'),
              position: { tx: made.tx, crc: made.crc },
            }
          : null,
      ),
      writer: fc.record({ owner: text, host: text, version: text }),
    }),
  );

const headDocument: fc.Arbitrary<HeadDocument> = fc.record({
  generation: number.map((n) => makeGenerationName(n, 'deadbeef')),
  owner: text,
  session: text,
  process: fc.record({
    machineId: fc.option(text),
    bootId: fc.option(text),
    pidNamespace: fc.option(text),
    pid: fc.nat(),
    startTime: fc.option(text),
    host: text,
  }),
  acquiredAt: time,
  renewedAt: time,
  ttlMs: fc.integer({ min: 1, max: 1_000_000_000 }),
  position: fc.option(
    fc.record({ tx, crc, time, segment: tx }).map((made) => ({
      ...made,
      segment: made.segment < made.tx ? made.segment : made.tx,
    })),
  ),
  released: fc.boolean(),
});

describe('every document comes back', () => {
  test('format.json', () => {
    for (const kind of ['database', 'server'] as const) {
      expect(decodeFormatDocument(encodeFormatDocument({ kind }))).toEqual({ kind });
    }
  });
  test('generation.json', () => {
    fc.assert(
      fc.property(generationDocument, (document) => {
        const key = generationKey(document.generation);
        expect(decodeGenerationDocument(encodeGenerationDocument(document), { key })).toEqual(document);
      }),
    );
  });
  test('head.json', () => {
    fc.assert(
      fc.property(headDocument, (made) => {
        expect(decodeHeadDocument(encodeHeadDocument(made))).toEqual(made);
      }),
    );
  });
});

const [head] = fc.sample(headDocument, { numRuns: 1, seed: 7 }) as [HeadDocument];
const [generation] = fc.sample(generationDocument, { numRuns: 1, seed: 7 }) as [GenerationDocument];
const key = generationKey(generation.generation);

describe('damage', () => {
  test('every changed byte of every document is noticed', () => {
    const cases: [Uint8Array, (bytes: Uint8Array) => unknown][] = [
      [encodeFormatDocument({ kind: 'database' }), decodeFormatDocument],
      [encodeHeadDocument(head), decodeHeadDocument],
      [encodeGenerationDocument(generation), (bytes) => decodeGenerationDocument(bytes, { key })],
    ];
    for (const [bytes, decode] of cases) {
      // The newline at the end is not covered: without it the document is the same.
      for (let bit = 0; bit < (bytes.byteLength - 1) * 8; bit++) {
        const damaged = Uint8Array.from(bytes);
        damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(() => decode(damaged), `bit ${bit}`).toThrow(/json/);
      }
      for (let length = 0; length < bytes.byteLength - 1; length++) {
        expect(() => decode(bytes.subarray(0, length)), `${length} bytes`).toThrow(CorruptionError);
      }
    }
  });

  test('the checksum is that of the document without its last member', () => {
    const line = Buffer.from(encodeHeadDocument(head)).toString('utf8');
    const { crc: named, ...rest } = JSON.parse(line) as Record<string, unknown>;
    expect(named).toBe(formatCrc(crc32c(Buffer.from(JSON.stringify(rest)))));
    expect(line.endsWith(`,"crc":"${String(named)}"}\n`)).toBe(true);
  });

  test('too long, another format, no JSON, no object, no UTF-8', () => {
    const decode = (bytes: Uint8Array | string) => () => decodeDocument(Buffer.from(bytes), { key: 'head.json' });
    expect(decode(' '.repeat(DOCUMENT_BYTES_MAX + 1))).toThrow(/more than 65536/);
    expect(decode(encodeDocument({ format: 2 }))).toThrow(UnsupportedFormatError);
    expect(decode('{"format":2}')).toThrow(UnsupportedFormatError);
    expect(decode('{"format":1}')).toThrow(/checksum/);
    expect(decode(encodeDocument({ format: '1' }))).toThrow(/names no format/);
    expect(decode(encodeDocument({ kind: 'x' }))).toThrow(/names no format/);
    for (const other of ['', '{', '[]', 'null', '7', Uint8Array.from([0x7b, 0xff, 0x7d])]) {
      expect(decode(other)).toThrow(CorruptionError);
    }
    expect(() => encodeDocument({ long: 'x'.repeat(DOCUMENT_BYTES_MAX) })).toThrow(/too long/);
  });

  test('a member that is unknown is passed over', () => {
    expect(decodeFormatDocument(encodeDocument({ format: 1, kind: 'server', more: [1] }))).toEqual({ kind: 'server' });
  });
});

describe('wrong members, with a right checksum', () => {
  const change = (bytes: Uint8Array, member: string, value: unknown): Uint8Array => {
    const { crc: _, ...members } = JSON.parse(Buffer.from(bytes).toString()) as Record<string, unknown>;
    const path = member.split('.');
    const last = path.pop() as string;
    let target = members;
    for (const part of path) target = target[part] as Record<string, unknown>;
    if (value === undefined) delete target[last];
    else target[last] = value;
    return encodeDocument(members as Parameters<typeof encodeDocument>[0]);
  };
  const position = { tx: txOffset(5), crc: crc32cValue(1), segment: txOffset(0), time: micros(0n) };
  const full = encodeHeadDocument({ ...head, position });

  test.for([
    ['generation', '1'],
    ['generation', '00000000-deadbeef'],
    ['owner', null],
    ['owner', undefined],
    ['process', null],
    ['process', []],
    ['process.pid', -1],
    ['process.pid', 1.5],
    ['process.bootId', 5],
    ['process.bootId', undefined],
    ['acquiredAt', '2026-01-01'],
    ['ttl', 0],
    ['ttl', '60'],
    ['ttl', 1e300],
    ['position', undefined],
    ['position.tx', 5],
    ['position.tx', '05'],
    ['position.tx', '-1'],
    ['position.tx', '18446744073709551616'],
    ['position.tx', '0x5'],
    ['position.crc', '1'],
    ['position.crc', '0000000G'],
    ['position.segment', '6'],
    ['released', 'false'],
  ] as const)('head.json: %s = %j', ([member, value]) => {
    expect(() => decodeHeadDocument(change(full, member, value))).toThrow(new RegExp(`head.json: "${member}"`));
  });

  const child: GenerationDocument = {
    ...generation,
    generation: makeGenerationName(2, '1a2b3c4d'),
    parent: { generation: makeGenerationName(1, '1a2b3c4d'), position },
  };
  const bytes = encodeGenerationDocument(child);
  const childKey = generationKey(child.generation);
  test.for([
    ['databaseIdentity', 'AB'.repeat(32)],
    ['replicaId', 7],
    ['reason', 'because'],
    ['parent.generation', '00000002-00000000'],
    ['parent.generation', '00000003-00000000'],
    ['writer.host', 7],
  ] as const)('generation.json: %s = %j', ([member, value]) => {
    expect(() => decodeGenerationDocument(change(bytes, member, value), { key: childKey })).toThrow(`"${member}"`);
  });

  test('a document of another generation, an encrypted one, a parent that is not older', () => {
    expect(() => decodeGenerationDocument(bytes, { key })).toThrow(/belongs elsewhere/);
    expect(() => decodeGenerationDocument(change(bytes, 'encryption', {}), { key: childKey })).toThrow(
      UnsupportedFormatError,
    );
    expect(() => encodeGenerationDocument({ ...child, generation: makeGenerationName(1, '00000000') })).toThrow(
      /smaller/,
    );
  });
});
