/** Invariant: an image names files below the four places only, and no name leads out of them. */
import { join, relative, resolve } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isExtraName, isImageDirectoryPath, isImageFilePath } from './image-path.ts';

test.each([
  'metadata.toml',
  'config.toml',
  'control-db/db',
  'control-db/conf',
  'control-db/snap.0000000000000ABC',
  'control-db/blobs/123',
  'extra/id_ecdsa.pub',
  'extra/key of the server.pem',
  'extra/.env',
  'extra/\u043a\u043b\u044e\u0447',
])('may be a file: %s', (path) => {
  expect(isImageFilePath(path)).toBe(true);
});

test.each([
  '',
  'control-db',
  'control-db/',
  'control-db//db',
  '/control-db/db',
  'control-db/../db',
  'control-db/./db',
  'control-db/.db',
  'control-db/-x',
  'control-db/a b',
  'spacetime.pid',
  'replicas/1/db.lock',
  'extra',
  'extra/',
  'extra/..',
  'extra/a/b',
  'extra/a\\b',
  'extra/a\nb',
  'extra/\ud800',
  'extra/.stdb-restore-1',
  `extra/${'x'.repeat(256)}`,
  'Metadata.toml',
  'metadata.toml/',
  'control-db/1/2/3/4/5/6/7/8',
])('is none: %j', (path) => {
  expect(isImageFilePath(path)).toBe(false);
});

test('directories', () => {
  expect(['control-db', 'control-db/blobs'].every(isImageDirectoryPath)).toBe(true);
  expect(['', 'extra', 'control-db/..', 'metadata.toml', 'control-db/', 'replicas'].some(isImageDirectoryPath)).toBe(
    false,
  );
});

test('joined to a target, an allowed path stays below it and is normal already', () => {
  const piece = fc.constantFrom(
    'control-db',
    'extra',
    '..',
    '.',
    '',
    'a',
    'blobs',
    'snap.1',
    '~',
    '\\',
    'metadata.toml',
  );
  const path = fc.oneof(
    fc.array(piece, { maxLength: 4 }).map((parts) => parts.join('/')),
    fc.string({ unit: 'binary' }).map((text) => `extra/${text}`),
  );
  fc.assert(
    fc.property(path, (text) => {
      if (!isImageFilePath(text) && !isImageDirectoryPath(text)) return;
      expect(relative('/target', resolve('/target', text))).toBe(text);
      expect(join('/target', text)).toBe(`/target/${text}`);
    }),
    { numRuns: 3000 },
  );
  expect(isExtraName('x'.repeat(255))).toBe(true);
});
