/**
 * Invariant: what format version 1 was stored as is read for ever. The store in `test/vectors/layout-v1/` holds the log
 * and a snapshot of `v2-small`; every object of it is decoded, fed whole, in pieces and byte by byte.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { byteByByte, collect, collectBytes, cutInto, feed } from '../../test/support/pieces.ts';
import { layoutObjects, readLayoutObject } from '../../test/vectors/layout-v1/files.ts';
import { vectorDirectory } from '../../test/vectors/vectors.ts';
import { blake3Hex } from '../core/checksum.ts';
import { formatCrc } from '../core/types.ts';
import { decodeFormatDocument } from './format-document.ts';
import { decodeGenerationDocument, type GenerationDocument } from './generation-document.ts';
import { decodeHeadDocument } from './head-document.ts';
import { FORMAT_KEY, type GenerationName, generationKey, HEAD_KEY, packKey } from './keys.ts';
import { chooseGeneration, lineOf } from './line.ts';
import { readListing } from './listing.ts';
import { decodeLogObject } from './log-object.ts';
import { decodeManifest } from './manifest-stream.ts';
import { type ObjectPlace, unpackObject } from './pack.ts';
import { walkLine } from './walk-line.ts';

const source = vectorDirectory('v2-small');
const listing = await readListing(layoutObjects());
const documents = new Map<GenerationName, GenerationDocument>();
for (const generation of listing.generationDocuments) {
  const key = generationKey(generation);
  documents.set(generation, decodeGenerationDocument(readLayoutObject(key), { key }));
}
const head = decodeHeadDocument(readLayoutObject(HEAD_KEY));
const [one, two] = ['00000001-1a2b3c4d', '00000002-5e6f7a8b'] as [GenerationName, GenerationName];
const ways: readonly (readonly [string, (bytes: Uint8Array) => Uint8Array[]])[] = [
  ['whole', (bytes) => [bytes]],
  ['in pieces', (bytes) => cutInto(bytes, [1, 700, 3])],
  ['byte by byte', byteByByte],
];

describe('layout-v1', () => {
  test('every key is ours', () => {
    expect(listing.foreign.count).toBe(0);
    expect(listing).toMatchObject({ hasFormat: true, hasHead: true });
    expect(listing.generations).toEqual([one, two].map((generation) => ({ generation, holdsData: true })));
  });

  test('documents', () => {
    expect(decodeFormatDocument(readLayoutObject(FORMAT_KEY))).toEqual({ kind: 'database' });
    expect(documents.get(one)).toMatchObject({ reason: 'first', parent: null, databaseIdentity: null });
    expect(documents.get(two)).toMatchObject({
      replicaId: 22_000_042n,
      reason: 'rolled-back',
      parent: { generation: one, position: { tx: 204n } },
      writer: { owner: 'game-0', host: 'game-0.example', version: '0.1.0' },
    });
    expect(head).toMatchObject({
      generation: two,
      process: { pid: 4711, startTime: '123456' },
      ttlMs: 60_000,
      position: { tx: 299n, segment: 147n, time: 1_795_249_804_155_403n },
      released: true,
    });
    expect(formatCrc(head.position!.crc)).toBe('6869d232');
  });

  test.for(ways)('log objects, %s, are the log that they were made from', async ([, pieces]) => {
    const segments = ['00000000000000000000', '00000000000000000147'].map((name) =>
      readFileSync(join(source, 'clog', `${name}.stdb.log`)),
    );
    for (const object of [...listing.logObjects.values()].flat()) {
      const stored = readLayoutObject(object.key);
      const plain = await collectBytes(decodeLogObject(feed(pieces(stored)), object));
      const segment = segments[object.segment === 0n ? 0 : 1] ?? Buffer.alloc(0);
      expect(plain.subarray(0, 10).equals(segment.subarray(0, 10))).toBe(true);
      expect(segment.includes(plain.subarray(10))).toBe(true);
      expect(plain.readBigUInt64LE(10)).toBe(object.first);
      expect(plain.readUInt32LE(plain.byteLength - 4)).toBe(object.crc);
    }
  });

  test('the line of the head is unbroken, cut at the parent point, and ends as the head says', () => {
    const newest = chooseGeneration(head, listing.generations) as GenerationName;
    const walk = walkLine(lineOf(newest, documents), { objects: listing.logObjects, documents });
    expect(walk.steps.map(({ object, cut }) => [object.level, object.first, cut?.tx ?? null])).toEqual([
      [1, 0n, null],
      [0, 100n, null],
      [0, 147n, null],
      [0, 180n, 204n],
      [0, 205n, null],
      [0, 231n, null],
    ]);
    expect(walk).toMatchObject({ hole: null, unreached: [], end: { ...head.position, timeIsExact: true } });
  });

  test.for(ways)('the manifest, %s, leads to every byte of the snapshot', async ([, pieces]) => {
    const [manifest] = listing.manifests.get(one) ?? [];
    if (!manifest) throw new Error('the vector has a manifest');
    const { header, packs } = await decodeManifest(feed(pieces(readLayoutObject(manifest.key))), manifest);
    const directory = join(source, 'snapshots', '00000000000000000180.snapshot_dir');
    const unpack = async (pack: string, place: ObjectPlace): Promise<Uint8Array> => {
      const stored = readLayoutObject(packKey(pack));
      expect(blake3Hex(stored)).toBe(pack);
      return unpackObject(stored.subarray(place.offset, place.offset + place.length), place, { key: packKey(pack) });
    };
    const lines = await collect(packs);
    expect(new Map(lines.map(({ pack, bytes }) => [pack, bytes]))).toEqual(listing.packs);
    for (const { pack, objects } of lines) {
      for (const object of objects) {
        const file = join(directory, 'objects', object.hash.slice(0, 2), object.hash.slice(2));
        expect(Buffer.compare(await unpack(pack, object), readFileSync(file))).toBe(0);
      }
    }
    expect(header).toMatchObject({ tx: 180n, objects: 20, plainBytes: 810_863, packs: 2, replicaId: 22_000_042n });
    const file = readFileSync(join(directory, '00000000000000000180.snapshot_bsatn'));
    expect(Buffer.compare(await unpack(header.snapshotFile.pack, header.snapshotFile), file)).toBe(0);
    const commit = Buffer.from(await unpack(header.commit!.pack, header.commit!));
    expect(commit.subarray(0, 6).toString()).toBe('(ds)^2');
    expect(commit.readBigUInt64LE(10)).toBe(180n);
  });
});
