// Invariant: nothing begins because of bytes that the disk gives again by the time it would.
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { BadSectorFiles, SECTOR_BYTES } from '../../test/support/bad-sector-files.ts';
import { ModelScene } from '../../test/support/model-scene.ts';
import { systemClock } from '../core/clock.ts';
import { localFileError } from '../core/errors.ts';
import { silentLog } from '../core/log.ts';
import { lookAround } from './start-facts.ts';
import { identifyWriter } from './writer.ts';

const SEGMENT = '00000000000000000000.stdb.log';

/** What a start decides where the end of what is stored has stayed unreadable, with a snapshot far behind it. */
async function decideBeside({ mendsIn }: { mendsIn: number }): Promise<unknown> {
  await using model = await ModelScene.open();
  await model.database.append(600);
  await model.scene.runOnce();
  const bytes = (await model.database.log()).reduce((sum, commit) => sum + commit.bytes.byteLength, 0);
  await model.database.append(300);
  await model.database.snapshot(800n);
  const files = new BadSectorFiles([{ path: SEGMENT, first: Math.floor(bytes / SECTOR_BYTES), count: 1 }]);
  const openFile = files.open.bind(files);
  let left = mendsIn;
  files.open = (path) => {
    if (path.endsWith('.snapshot_bsatn') && --left === 0) files.bad = [];
    return openFile(path);
  };
  const eio = Object.assign(new Error('EIO'), { code: 'EIO' });
  const { client, database } = model.scene;
  const look = await lookAround(
    {
      client,
      database,
      source: { files, directory: join(database, 'clog') },
      snapshotsDirectory: join(database, 'snapshots'),
      writer: await identifyWriter({ owner: 'game-0', version: '0.0.0' }),
      leaseTtlMs: 60_000,
      clock: systemClock,
      log: silentLog,
      carried: { unreadable: localFileError('read', SEGMENT, eio) },
    },
    { expired: null, signal: undefined },
  );
  return look?.facts.decision;
}

test('an end that cannot be read, and a snapshot behind it: a generation begins there', async () => {
  expect(await decideBeside({ mendsIn: Number.POSITIVE_INFINITY })).toMatchObject({ kind: 'begin', reason: 'damaged' });
});

test('mended after it was seen to be bad, before anything begins: gone on with', async () => {
  // The snapshot is read once with the local facts, and once more as what to begin at.
  expect(await decideBeside({ mendsIn: 2 })).toEqual({ kind: 'continue' });
});
