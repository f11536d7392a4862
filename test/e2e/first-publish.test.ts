/**
 * Invariant: between a server's first start and its first publish a `restore -if-db-not-exists` does not stand in the way
 * of its next start, unless the backup holds a database that the directory lacks: then it says so, and touches nothing.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { databaseBesideStore, runBadly, runWell } from '../support/database-beside-store.ts';
import { treeFacts } from '../support/tree-facts.ts';
import { copyVector, type VectorName } from '../vectors/vectors.ts';

/** A server data directory, with or without its databases. */
async function serverBesideStore({ published }: { published: boolean }) {
  const place = await databaseBesideStore(null);
  copyVector('server-2.8' satisfies VectorName, place.database);
  if (!published) await rm(join(place.database, 'replicas'), { recursive: true });
  return place;
}

type Place = Awaited<ReturnType<typeof serverBesideStore>>;

const FLAGS = ['-if-db-not-exists', '-if-replica-exists'];
const restoreInto = (place: Place, flags: readonly string[]): string[] => {
  return ['restore', ...flags, '-o', place.database, place.url];
};

describe('a server without a database', () => {
  test.each([
    ['whose backup has none either', true],
    ['that was never backed up', false],
  ])('%s is left as it is', async (_what, backedUp) => {
    await using place = await serverBesideStore({ published: false });
    if (backedUp) await runWell(['replicate', '-once', place.database, place.url]);
    const before = await treeFacts(place.database);
    await runWell(restoreInto(place, FLAGS));
    expect(await treeFacts(place.database)).toEqual(before);
    if (!backedUp) await runBadly(restoreInto(place, FLAGS.slice(0, 1)), { code: 10, says: [/no backup/] });
  });

  test('whose backup has databases: 16, and nothing is touched', async () => {
    await using place = await serverBesideStore({ published: true });
    await runWell(['replicate', '-once', place.database, place.url]);
    await rm(join(place.database, 'replicas'), { recursive: true });
    const before = await treeFacts(place.database);
    await runBadly(restoreInto(place, FLAGS), { code: 16, says: [/not empty/] });
    expect(await treeFacts(place.database)).toEqual(before);
  });

  test('that is the rest of a restore is restored again', async () => {
    await using place = await serverBesideStore({ published: true });
    await runWell(['replicate', '-once', place.database, place.url]);
    await rm(join(place.database, 'replicas'), { recursive: true });
    await mkdir(join(place.database, '.stdb-restore-0123456789abcdef'));
    await runBadly(restoreInto(place, FLAGS), { code: 0, says: [] });
    expect((await treeFacts(place.database)).length).toBeGreaterThan(20);
  });
});
