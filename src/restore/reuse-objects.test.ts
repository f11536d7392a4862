/** Invariant: what an earlier attempt left is looked at within the memory that is free beside the manifest, or not at all. */
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { ByteBudget } from '../core/byte-budget.ts';
import { blake3Hex } from '../core/checksum.ts';
import { reuseObjects } from './reuse-objects.ts';

const MIB = 1024 * 1024;

test.each([
  { plainBytes: 2 * MIB, isUsed: true },
  { plainBytes: 4 * MIB - 100 * 1024, isUsed: false },
])('an object of $plainBytes bytes with 4 MiB, of which a part is held', async ({ plainBytes, isUsed }) => {
  await using place = await temporaryDirectory();
  const bytes = Buffer.alloc(plainBytes, 7);
  const hash = blake3Hex(bytes);
  const parent = place.at('objects', hash.slice(0, 2));
  await mkdir(parent, { recursive: true });
  await writeFile(join(parent, hash.slice(2)), bytes);
  const budget = new ByteBudget(4 * MIB);
  using _manifest = await budget.take(MIB / 2);
  const signal = AbortSignal.timeout(4000);
  const found = await reuseObjects(place.path, { wanted: new Map([[hash, 'blob']]), fetch: { budget, signal } });
  expect([...found]).toEqual(isUsed ? [hash] : []);
  expect(await readdir(parent)).toHaveLength(isUsed ? 1 : 0);
});
