/**
 * Invariant: an object that the store lists and does not give is damage, never passed over as one that was just removed:
 * what could not be read was not verified.
 */
import { beforeEach, describe, expect, test } from 'vitest';
import { buildSimpleStore } from '../../test/support/store-builder.ts';
import { damageOf, VerifyScene } from '../../test/support/verify-scene.ts';
import { vectorDirectory } from '../../test/vectors/vectors.ts';
import { ByteBudget } from '../core/byte-budget.ts';
import { silentLog } from '../core/log.ts';
import {
  type GetOptions,
  ObjectNotFoundError,
  type ReplicaClient,
  type StoredObject,
} from '../replica/replica-client.ts';
import { prefixedClient } from '../replica/wrap/prefixed.ts';
import { WHOLE } from './sample.ts';
import { type VerifiedStore, verifyStore } from './verify-store.ts';
import { withGet } from '../replica/wrap/with-get.ts';

let scene: VerifyScene;
beforeEach(async () => {
  scene = new VerifyScene();
  await buildSimpleStore({ client: scene.client, replicaDir: vectorDirectory('v2-small') });
});

/** A store that has lost the bytes of one object, and still lists its name; or, with `removes`, removes it now. */
function withoutBytes(lost: string, { removes = false } = {}): ReplicaClient {
  const { client } = scene;
  const get = async (key: string, options?: GetOptions): Promise<StoredObject> => {
    if (key !== lost) return await client.get(key, options);
    if (removes) await client.delete([key]);
    throw new ObjectNotFoundError(`${key} is not there`);
  };
  return withGet(client, get);
}

function verify(client: ReplicaClient, isDeep: boolean): Promise<VerifiedStore> {
  const budget = new ByteBudget(32 * 1024 * 1024);
  return verifyStore({
    fetch: { client, budget, parallelism: 4, signal: new AbortController().signal },
    clientAt: (prefix) => prefixedClient(client, prefix),
    deep: isDeep ? WHOLE : null,
    log: silentLog,
  });
}

describe.each(['/log/', 'packs/', 'manifest.ndjson', 'generation.json', 'head.json', 'format.json'])('%s', (part) => {
  const isSmall = !['/log/', 'packs/'].includes(part);

  test('listed, and not given', async () => {
    for (const key of scene.keys(part)) {
      const deep = damageOf(await verify(withoutBytes(key), true));
      expect(deep.length, key).toBeGreaterThan(0);
      expect(deep.map((finding) => finding.key ?? finding.message).join(), key).toContain(key);
      if (isSmall) expect(damageOf(await verify(withoutBytes(key), false)).length, key).toBeGreaterThan(0);
    }
  });
});

test.each(['/log/', 'packs/', 'manifest.ndjson'])('%s: one that was removed meanwhile is none', async (part) => {
  const key = scene.keys(part).at(-1) ?? '';
  expect(damageOf(await verify(withoutBytes(key, { removes: true }), true))).toEqual([]);
});
