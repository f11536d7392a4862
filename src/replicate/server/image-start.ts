/**
 * How a writer of images starts: reads what is stored and takes the head, under the rules of every writer. There is no
 * log to compare with: what a new generation branches from is the newest image of the line before it, as a point in time
 * (`imagePosition`), so that older images stay within reach and whatever a stale writer still stores does not.
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../core/clock.ts';
import { assert } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import { isProvenDead } from '../../core/process-identity.ts';
import { type Micros, micros } from '../../core/types.ts';
import type { GenerationDocument, ParentPoint } from '../../layout/generation-document.ts';
import { makeGenerationName } from '../../layout/keys.ts';
import { type ImageNameParts, imagePosition } from '../../layout/server-keys.ts';
import { isStorableTime } from '../../layout/time.ts';
import { type ObjectVersion, PreconditionFailedError, type ReplicaClient } from '../../replica/replica-client.ts';
import { HeadLease } from '../head-lease.ts';
import { findLeaseMode, type LeaseMode } from '../lease-mode.ts';
import { waitForLease } from '../lease-wait.ts';
import { newHead } from '../new-head.ts';
import { conditionsBroken, ownerError } from '../refusals.ts';
import { writeGeneration } from '../write-generation.ts';
import type { Writer } from '../writer.ts';
import { decideImageStart, type ImageHeadState } from './image-start-decision.ts';
import { readStoredImages, type StoredImages } from './stored-images.ts';

export interface ImageStartOptions {
  /** Of the destination's root. */
  readonly root: ReplicaClient;
  /** Of `server/`. */
  readonly client: ReplicaClient;
  readonly writer: Writer;
  readonly leaseTtlMs: number;
  /** May take the head of another owner. */
  readonly takeover: boolean;
  /** Wait for the lease for as long as it is held. */
  readonly standby: boolean;
  /** A single pass, which waits for no process that is seen to run on this machine. */
  readonly once: boolean;
  readonly clock: Clock;
  readonly log: Log;
  /** Told once the store has answered. */
  readonly onAnswer: () => void;
  /** Aborted by who wants no lease any more. */
  readonly draining: AbortSignal;
}

export interface StartedImages {
  readonly lease: HeadLease;
  readonly generation: GenerationDocument;
  /** The newest image of this generation; null where it is new. */
  readonly newest: ImageNameParts | null;
  /** Of the newest image of the line; no later image may be older. */
  readonly newestTime: Micros | null;
}

/** @throws LeaseHeldError, ConfigurationError, CorruptionError; store errors */
export async function startImages(
  options: ImageStartOptions,
  { signal }: { readonly signal: AbortSignal },
): Promise<StartedImages> {
  const { client, log } = options;
  let expired: ObjectVersion | null = null;
  /** The version of head.json, null for none, in whose place ours was refused. */
  let refused: ObjectVersion | null | undefined;
  for (;;) {
    const state = await readStoredImages(client, { signal });
    options.onAnswer();
    const decision = decideImageStart({
      head: await headState(state, options.writer, expired),
      takeover: options.takeover,
      conditional: client.conditional === 'full',
    });
    log.debug('image start', { decision, head: state.head?.document.generation ?? null });
    if (decision === 'refuse') throw ownerError(state, client);
    if (decision === 'wait') {
      assert(state.head !== null, 'a lease that nobody holds is waited for');
      expired = (await waitForLease(options, state.head, { signal })) ?? expired;
      continue;
    }
    try {
      return decision === 'continue'
        ? await goOn(options, state, signal)
        : await begin({ options, state, reason: decision, signal });
    } catch (error) {
      if (!(error instanceof PreconditionFailedError)) throw error;
      const found = state.head?.version ?? null;
      if (found === refused) throw conditionsBroken(client, error);
      refused = found;
      log.warn('another writer took the head of the images first; looking again', { url: client.url });
    }
  }
}

async function headState(
  { head, generation }: StoredImages,
  writer: Writer,
  expired: ObjectVersion | null,
): Promise<ImageHeadState> {
  if (generation === null) return 'empty';
  const owner = head?.document.owner ?? generation.writer.owner;
  const isOurs = owner === writer.owner;
  if (head === null) return isOurs ? 'headless' : 'headless-other-owner';
  if (!isOurs) return 'other-owner';
  if (head.document.released) return 'released';
  if (head.version === expired) return 'dead';
  return (await isProvenDead(head.document.process, writer.process)) ? 'dead' : 'unproven';
}

const goOn = async (options: ImageStartOptions, state: StoredImages, signal: AbortSignal): Promise<StartedImages> => {
  assert(state.generation !== null, 'a generation that is not there cannot be continued');
  // Only a store with compare-and-swap has a head that is released.
  return take({ options, state, generation: state.generation, mode: 'exclusive', signal });
};

interface Beginning {
  readonly options: ImageStartOptions;
  readonly state: StoredImages;
  readonly reason: 'first' | 'takeover';
  readonly signal: AbortSignal;
}

/** Writes the new generation's document, which counts for nothing until head names it. */
async function begin({ options, state, reason, signal }: Beginning): Promise<StartedImages> {
  const { root, client, writer, clock } = options;
  const mode = await findLeaseMode(root, { kind: 'server', head: state.head?.version ?? null, signal });
  const generation: GenerationDocument = {
    generation: makeGenerationName(state.lastNumber + 1, randomBytes(4).toString('hex')),
    databaseIdentity: null,
    replicaId: null,
    createdAt: clock.now(),
    reason,
    parent: parentPoint(state),
    writer: { owner: writer.owner, host: writer.process.host, version: writer.version },
  };
  await writeGeneration(client, generation, { mode, signal });
  return take({ options, state, generation, mode, signal });
}

/** A generation that holds no image of its own passes its parent point on: a restart loop does not lengthen the line. */
function parentPoint({ generation, newest }: StoredImages): ParentPoint | null {
  if (generation === null) return null;
  return newest === null ? generation.parent : { generation: generation.generation, position: imagePosition(newest) };
}

interface Taking {
  readonly options: ImageStartOptions;
  readonly state: StoredImages;
  readonly generation: GenerationDocument;
  readonly mode: LeaseMode;
  readonly signal: AbortSignal;
}

async function take({ options, state, generation, mode, signal }: Taking): Promise<StartedImages> {
  const { client, clock, log } = options;
  const document = newHead({ generation: generation.generation, position: null }, options);
  const replaces = state.head?.version ?? null;
  const lease = await HeadLease.take({ client, clock, log }, document, { replaces, mode, signal });
  const isContinued = state.generation === generation;
  const newest = isContinued ? state.newest : null;
  return { lease, generation, newest, newestTime: newest?.time ?? parentTime(generation) };
}

function parentTime({ parent }: GenerationDocument): Micros | null {
  const time = parent?.position.tx ?? null;
  return time !== null && isStorableTime(time) ? micros(time) : null;
}
