/** Single things of a snapshot: the manifest's header, and what the header points to. */
import { ConfigurationError, CorruptionError } from '../core/errors.ts';
import { packKey } from '../layout/keys.ts';
import type { ManifestHeader, PackPlace } from '../layout/manifest.ts';
import { decodeManifest } from '../layout/manifest-stream.ts';
import { unpackObject } from '../layout/pack.ts';
import { type FetchOptions, fetchParts } from './fetch-parts.ts';
import { formatBytes } from './format-bytes.ts';
import type { PlannedManifest } from './plan-types.ts';

/** Holds the first frame of any manifest of ours, and with it the header line. */
const MANIFEST_HEAD_BYTES = 272 * 1024;

/** @throws CorruptionError, also when it is another snapshot's; ObjectNotFoundError when it is gone */
export async function readManifestHeader(
  { manifestKey: key, manifestBytes, tx }: PlannedManifest,
  fetch: FetchOptions,
): Promise<ManifestHeader> {
  const part = {
    key,
    objectBytes: manifestBytes,
    start: 0,
    endExclusive: Math.min(manifestBytes, MANIFEST_HEAD_BYTES),
  };
  for await (using fetched of fetchParts([part], fetch)) {
    await using manifest = await decodeManifest([fetched.bytes], { key, signal: fetch.signal });
    checkManifestTx(manifest.header, { tx, key });
    return manifest.header;
  }
  throw new TypeError('fetching one part yields one part');
}

/** @throws CorruptionError when the manifest lies under another snapshot's name */
export function checkManifestTx(header: ManifestHeader, { tx, key }: { tx: bigint; key: string }): void {
  if (header.tx === tx) return;
  throw new CorruptionError(`the manifest ${key} is that of a snapshot at ${header.tx}`, { facts: { key, tx } });
}

/** What lies at one place of a pack, decompressed. @throws CorruptionError; ObjectNotFoundError without the pack */
export async function readPlace(place: PackPlace, fetch: FetchOptions): Promise<Uint8Array> {
  const key = packKey(place.pack);
  const endExclusive = place.offset + place.length;
  const part = { key, objectBytes: null, start: place.offset, endExclusive, extraBytes: place.plainLength };
  checkFits(place, { key, fetch });
  for await (using fetched of fetchParts([part], fetch)) return await unpackObject(fetched.bytes, place, { key });
  throw new TypeError('fetching one part yields one part');
}

/** Left free for the manifest, a part of which is held while its objects are fetched. */
export const KEPT_FREE_BYTES = 1024 * 1024;

/** @throws ConfigurationError when an object and its plain bytes are more than the budget ever gives */
export function checkFits(
  { length, plainLength }: { readonly length: number; readonly plainLength: number },
  { key, fetch }: { readonly key: string; readonly fetch: FetchOptions },
): void {
  const { bytesMax } = fetch.budget;
  if (length + plainLength <= bytesMax - KEPT_FREE_BYTES) return;
  throw new ConfigurationError(
    `an object of the snapshot in ${key} needs ${formatBytes(length + plainLength)} of memory, ` +
      `more than the budget of ${formatBytes(bytesMax)}`,
    { hint: 'Give the restore more with -memory.', facts: { key, bytes: length + plainLength, bytesMax } },
  );
}
