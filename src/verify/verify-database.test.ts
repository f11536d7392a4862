/**
 * Invariant: a whole backup has no damage; each kind of damage is found, named by its object, and hides no other; what
 * the finding says of recovery points is what the planner says.
 */
import { beforeEach, describe, expect, test } from 'vitest';
import { buildSimpleStore, positionOf, type SimpleStore } from '../../test/support/store-builder.ts';
import { damageOf, ofKind, VerifyScene } from '../../test/support/verify-scene.ts';
import { vectorDirectory } from '../../test/vectors/vectors.ts';
import { NoBackupError } from '../core/errors.ts';
import { crc32cValue } from '../core/types.ts';
import { verifyDatabase } from './verify-database.ts';
import { NO_EFFECT } from './finding.ts';
import { isInSample, sampleOf } from './sample.ts';

const SMALL = vectorDirectory('v2-small');

let scene: VerifyScene;
let store: SimpleStore;
beforeEach(async () => {
  scene = new VerifyScene();
  store = await buildSimpleStore({ client: scene.client, replicaDir: SMALL });
});

const logKey = (index: number): string => store.logKeys.at(index) ?? '';

describe('a whole backup', () => {
  test('has no findings, quick or deep, and tells what can be restored', async () => {
    const quick = await scene.quick();
    expect(quick.findings).toEqual([]);
    const deep = await scene.deep();
    expect(deep.findings).toEqual([]);
    const [database] = deep.databases;
    expect(database?.recoverable).toMatchObject([{ first: 0n, to: { tx: store.commits.at(-1)?.last } }]);
    expect(database?.objectsRead).toBe(scene.keys('/log/').length + scene.keys('packs/').length);
    expect(typeof verifyDatabase).toBe('function');
  });

  test('nothing at all is no backup', async () => {
    await expect(new VerifyScene().quick()).rejects.toThrow(NoBackupError);
  });

  test('longer objects of another level are no contradiction', async () => {
    const { builder, generation, commits } = store;
    await builder.putLog(generation, { commits, level: 1, prev: crc32cValue(0) });
    expect((await scene.deep()).findings).toEqual([]);
  });
});

describe('quick', () => {
  test('a missing log object is a hole; where no snapshot is behind it, all from there on is lost', async () => {
    await scene.client.delete([logKey(-2)]);
    const [finding, ...others] = damageOf(await scene.quick());
    expect(others).toEqual([]);
    expect(finding).toMatchObject({ kind: 'hole' });
    expect(finding?.effect).toMatch(/recovery to .* is impossible; all other points are fine/);
  });

  test('the last object is missed because the head tells of it, the first because others lead nowhere', async () => {
    await scene.client.delete([logKey(-1)]);
    expect(damageOf(await scene.quick())).toMatchObject([{ kind: 'hole' }]);
    await scene.client.delete([logKey(0)]);
    expect(damageOf(await scene.quick())).toMatchObject([{ kind: 'hole' }, { kind: 'hole' }]);
  });

  test('several holes are each found', async () => {
    await scene.client.delete([logKey(1), logKey(3)]);
    expect(ofKind(await scene.quick(), 'hole')).toHaveLength(2);
  });

  test('an object under a changed name is missed', async () => {
    const key = logKey(2);
    await scene.rename(key, key.replace(/-[0-9a-f]{8}\.zst$/, '-00000bad.zst'));
    expect(damageOf(await scene.quick()).length).toBeGreaterThan(0);
    await scene.rename(key.replace(/-[0-9a-f]{8}\.zst$/, '-00000bad.zst'), `${key}.old`);
    const { findings } = await scene.quick();
    expect(findings).toMatchObject([{ kind: 'hole' }, { kind: 'foreign', severity: 'note' }]);
  });

  test('two commits of one transaction in one generation are a contradiction', async () => {
    const key = logKey(2);
    scene.client.store.set(key.replace(/-[0-9a-f]{8}\.zst$/, '-00000bad.zst'), scene.bytesOf(key));
    expect(damageOf(await scene.quick())).toMatchObject([{ kind: 'contradiction' }]);
  });

  test('what lies there beside the backup is a note', async () => {
    scene.client.store.set('lost+found/x', Buffer.from('x'));
    scene.client.store.set(`packs/ab/${'ab'.repeat(32)}.pack`, Buffer.from('x'));
    const { findings } = await scene.quick();
    expect(findings.map(({ kind, severity }) => [kind, severity])).toEqual([
      ['foreign', 'note'],
      ['unneeded', 'note'],
    ]);
  });

  test('packs that are missing or of another size', async () => {
    const [one = '', two = ''] = scene.keys('packs/');
    await scene.client.delete([one]);
    const { findings } = await scene.quick();
    expect(findings).toMatchObject([{ kind: 'missing', key: one }]);
    // The log from 0 on makes up for it.
    expect(findings[0]?.effect).toContain(NO_EFFECT);
    if (two === '') return;
    scene.client.store.set(two, scene.bytesOf(two).subarray(1));
    expect(damageOf(await scene.quick()).map(({ kind }) => kind)).toContain('wrong-size');
  });

  test.each(['format.json', 'head.json'])('a missing %s', async (key) => {
    await scene.client.delete([key]);
    expect(damageOf(await scene.quick())).toMatchObject([{ kind: 'missing', key }]);
  });

  test.each(['format.json', 'head.json', 'generation.json', 'manifest.ndjson.zst'])(
    'a damaged %s is named, and hides nothing else',
    async (name) => {
      const key = scene.keys(name)[0] ?? '';
      scene.flip(key);
      const [pack = ''] = scene.keys('packs/');
      scene.client.store.set(pack, scene.bytesOf(pack).subarray(1));
      const damage = damageOf(await scene.quick());
      expect(damage).toContainEqual(expect.objectContaining({ key, kind: 'altered' }));
      const wayOut = damage.find((finding) => finding.key === key)?.remedy.includes('move this object away');
      expect(wayOut).toBe(name === 'format.json' || name === 'head.json');
      const others = damage.filter((finding) => finding.key !== key);
      // Nothing else tells what a pack should be.
      if (name !== 'manifest.ndjson.zst') {
        expect(others).toMatchObject([{ key: pack }]);
      }
    },
  );

  test('a generation without its document', async () => {
    const key = scene.keys('generation.json')[0] ?? '';
    await scene.client.delete([key]);
    const damage = damageOf(await scene.quick());
    expect(damage).toContainEqual(expect.objectContaining({ key, kind: 'missing' }));
  });

  test('a child that branches off where its parent has no commit', async () => {
    const { builder, generation, commits } = store;
    const at = commits[50] ?? commits[0];
    if (!at) throw new Error('the vector has commits');
    const parent = { generation, position: { ...positionOf(at), crc: crc32cValue(7) } };
    await builder.putGeneration({ number: 2, parent });
    await builder.putHead(generation, commits.at(-1) ?? null);
    const found = damageOf(await scene.quick());
    // Only where an object ends there do names tell it; the head's position is still reached.
    expect(found.length === 0 || found[0]?.kind === 'contradiction').toBe(true);
    await builder.putGeneration({ number: 3, parent: { generation, position: { tx: 99_999n as never, crc: at.crc } } });
    expect(damageOf(await scene.quick())).toContainEqual(expect.objectContaining({ kind: 'hole' }));
  });

  test('what a crash left behind a hole that nobody knows of is a note', async () => {
    const { builder, generation, commits } = store;
    const [, , , , , at] = commits.filter((commit) =>
      store.logKeys.some((key) => key.includes(`-${commit.last.toString().padStart(20, '0')}.`)),
    );
    await builder.putHead(generation, commits[10] ?? null);
    await scene.client.delete([logKey(-2)]);
    const { findings } = await scene.quick();
    expect(at === undefined || findings.every(({ severity }) => severity === 'note')).toBe(true);
    expect(findings.length).toBeGreaterThan(0);
  });
});

describe('deep', () => {
  test('a flipped byte in each object is found and named, and quick knows nothing of it', async () => {
    const keys = [...scene.keys('/log/'), ...scene.keys('packs/')];
    for (const key of keys) {
      const before = scene.bytesOf(key);
      scene.flip(key);
      expect((await scene.quick()).findings).toEqual([]);
      const damage = damageOf(await scene.deep());
      expect(damage, key).toMatchObject([{ key, kind: 'altered' }]);
      scene.client.store.set(key, before);
    }
    expect((await scene.deep()).findings).toEqual([]);
  });

  test('what is damaged is not told to be recoverable: the ranges are those without it', async () => {
    const rangesOf = ({ databases }: Awaited<ReturnType<typeof scene.deep>>) =>
      databases[0]?.recoverable?.map(({ first, to }) => [first, to.tx]);
    const whole = rangesOf(await scene.quick());
    for (const key of [logKey(0), logKey(2), logKey(-1)]) {
      const before = scene.bytesOf(key);
      scene.flip(key);
      expect(rangesOf(await scene.quick()), key).toEqual(whole);
      const told = rangesOf(await scene.deep());
      await scene.client.delete([key]);
      expect(told, key).toEqual(rangesOf(await scene.quick()));
      expect(told, key).not.toEqual(whole);
      scene.client.store.set(key, before);
    }
  });

  test('objects that were swapped are both found, and say what is lost', async () => {
    const [a, b] = [logKey(1), logKey(-1)];
    const bytes = scene.bytesOf(a);
    scene.client.store.set(a, scene.bytesOf(b));
    scene.client.store.set(b, bytes);
    const damage = damageOf(await scene.deep());
    expect(new Set(damage.map(({ key }) => key))).toEqual(new Set([a, b]));
    for (const { effect } of damage) expect(effect).toMatch(/impossible/);
  });

  test('a name with another time', async () => {
    const key = logKey(2);
    const changed = key.replace(/\.(\d{8})T(\d{6})\.(\d{6})Z\./, (_, day: string, time: string, micros: string) => {
      const other = ((Number(micros) + 1) % 1_000_000).toString().padStart(6, '0');
      return `.${day}T${time}.${other}Z.`;
    });
    await scene.rename(key, changed);
    expect(damageOf(await scene.deep())).toContainEqual(expect.objectContaining({ kind: 'misnamed', key: changed }));
  });

  test('a snapshot of another history', async () => {
    const { builder, generation, commits } = store;
    const own = commits.find(({ first, last }) => first <= 180n && 180n <= last);
    const other = commits.find(({ first }) => first > 190n);
    if (!own || !other) throw new Error('the vector has these commits');
    const bytes = Uint8Array.from(own.bytes);
    // The last byte of the checksum cannot be changed alone; another commit's epoch and checksum can.
    const { encodeCommit } = await import('../spacetimedb/commit.ts');
    const foreign = {
      ...own,
      bytes: encodeCommit({ version: 1, tx: own.first, records: Buffer.from('another history') }),
    };
    expect(Buffer.compare(bytes, foreign.bytes)).not.toBe(0);
    await builder.putSnapshot(generation, { replicaDir: SMALL, tx: 180n, commit: foreign });
    expect(damageOf(await scene.deep())).toMatchObject([{ kind: 'contradiction' }]);
  });

  test('rounds of a sample read everything once, and no object twice', async () => {
    const key = logKey(3);
    scene.flip(key);
    let found = 0;
    let read = 0;
    for (let round = 0; round < 20; round += 1) {
      const result = await scene.deep({ deep: sampleOf(5, round) });
      found += damageOf(result).length;
      read += result.databases[0]?.objectsRead ?? 0;
      expect(damageOf(result).length > 0).toBe(isInSample(key, sampleOf(5, round)));
    }
    expect(found).toBe(1);
    expect(read).toBe(scene.keys('/log/').length + scene.keys('packs/').length);
  });
});
