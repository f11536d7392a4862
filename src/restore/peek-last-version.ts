/** Before much is fetched: whether the log would end in a segment that SpacetimeDB refuses to open. */
import { CorruptionError } from '../core/errors.ts';
import { FRAME_BYTES_MAX } from '../layout/frames.ts';
import { decodeLogObject } from '../layout/log-object.ts';
import { ObjectNotFoundError } from '../replica/replica-client.ts';
import { decodeSegmentHeader } from '../spacetimedb/segment-header.ts';
import { type FetchOptions, fetchParts } from './fetch-parts.ts';
import { checkLastVersion } from './last-version.ts';
import type { RestorePlan } from './plan-types.ts';

/** A smaller restore finds out at its end as quickly, and a request cheaper. */
const WORTH_IT_BYTES = 8 * 1024 * 1024;

/** @throws UnrecoverablePointError; says nothing of an object that cannot be read: that is found when it is restored */
export async function peekLastVersion(
  plan: Pick<RestorePlan, 'segments' | 'target' | 'workBytes'>,
  fetch: FetchOptions,
): Promise<void> {
  const object = plan.segments.at(-1)?.pieces.at(-1)?.object;
  if (object === undefined || plan.workBytes < WORTH_IT_BYTES) return;
  const { key, size } = object;
  const part = { key, objectBytes: size, start: 0, endExclusive: Math.min(size, FRAME_BYTES_MAX) };
  try {
    for await (using head of fetchParts([part], fetch)) {
      for await (const frame of decodeLogObject([head.bytes], { key, size })) {
        checkLastVersion(decodeSegmentHeader(frame, { path: key }).version, plan.target);
        return;
      }
    }
  } catch (error) {
    if (!(error instanceof CorruptionError || error instanceof ObjectNotFoundError)) throw error;
  }
}
