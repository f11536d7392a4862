/** Invariant: every key of a listing is counted exactly once, under what it is; foreign ones are kept apart. */
import { expect, test } from 'vitest';
import { txOffset } from '../core/types.ts';
import { FORMAT_KEY, generationKey, HEAD_KEY, manifestKey, packKey } from './keys.ts';
import { readListing } from './listing.ts';
import { generationNamed, logObject } from '../../test/support/log-objects.ts';

async function* entries(keys: readonly string[]): AsyncGenerator<{ key: string; size: number }, void, void> {
  for (const [size, key] of keys.entries()) yield { key, size };
}

test('a listing is sorted into what it holds', async () => {
  const [one, two] = [generationNamed(1), generationNamed(2)];
  const hash = 'ab'.repeat(32);
  const objects = [
    logObject({ first: 0, last: 4 }),
    logObject({ first: 5, last: 9 }),
    logObject({ first: 0, last: 9, level: 1 }),
  ];
  const foreign = Array.from({ length: 12 }, (_, index) => `notes-${index}.txt`);
  const keys = [
    FORMAT_KEY,
    generationKey(one),
    ...objects.map(({ key }) => key),
    manifestKey(one, txOffset(4)),
    manifestKey(one, txOffset(9)),
    generationKey(two),
    HEAD_KEY,
    ...foreign,
    packKey(hash),
  ].toSorted();
  const listing = await readListing(entries(keys));
  const sizeOf = (key: string): number => keys.indexOf(key);
  expect(listing).toMatchObject({
    hasFormat: true,
    hasHead: true,
    generations: [
      { generation: one, holdsData: true },
      { generation: two, holdsData: false },
    ],
    foreign: { count: 12, first: foreign.toSorted().slice(0, 10) },
  });
  expect(listing.generationDocuments).toEqual(new Set([one, two]));
  expect(listing.logObjects.get(one)).toEqual(objects.map((object) => ({ ...object, size: sizeOf(object.key) })));
  expect(listing.manifests.get(one)?.map(({ tx, size }) => [tx, keys[size]])).toEqual([
    [4n, manifestKey(one, txOffset(4))],
    [9n, manifestKey(one, txOffset(9))],
  ]);
  expect([...listing.packs]).toEqual([[hash, sizeOf(packKey(hash))]]);
});

test('nothing', async () => {
  const listing = await readListing(entries([]));
  expect(listing).toMatchObject({ hasFormat: false, hasHead: false, generations: [], foreign: { count: 0 } });
  expect(await readListing([])).toEqual(listing);
});

test('what has an impossible size is foreign', async () => {
  const sizes = [-1, Number.NaN, 0.5, 2 ** 60, 0];
  const listing = await readListing(sizes.map((size) => ({ key: 'format.json', size })));
  expect(listing).toMatchObject({ hasFormat: true, foreign: { count: 4 } });
});
