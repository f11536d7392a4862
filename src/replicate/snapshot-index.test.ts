// Invariant: an object is named where it is stored, and nothing is remembered that the newest snapshot does not need.
import { expect, test } from 'vitest';
import { SnapshotIndex } from './snapshot-index.ts';

const place = (pack: string, offset: number) => ({ pack, offset, length: 10, plainLength: 20 });

test('an object is used again unless its pack would be less than half in use', () => {
  const index = new SnapshotIndex();
  index.addPack({ pack: 'full', bytes: 20 });
  index.addPack({ pack: 'sparse', bytes: 21 });
  index.addObject('a', place('full', 0));
  index.addObject('b', place('sparse', 0));
  expect([...index.reusable(['a', 'b', 'c']).keys()]).toEqual(['a']);
});

test('regression: what a stored snapshot does not need is forgotten', () => {
  const index = new SnapshotIndex();
  for (const name of ['old', 'new']) {
    index.addPack({ pack: name, bytes: 10 });
    index.addObject(name, place(name, 0));
  }
  index.keepOnly(new Map([['new', place('new', 0)]]));
  expect([...index.reusable(['old', 'new']).keys()]).toEqual(['new']);
  expect(index.packBytes('old')).toBeUndefined();
  expect(index.packBytes('new')).toBe(10);
});
