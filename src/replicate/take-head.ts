/** Takes the head as it was decided: into the generation that is there, or into a new one. */
import { randomBytes } from 'node:crypto';
import type { TailPosition } from '../capture/commit-run.ts';
import { beginningOf } from '../capture/log-tailer.ts';
import type { Clock } from '../core/clock.ts';
import { assert } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { micros, samePosition, type TxOffset } from '../core/types.ts';
import type { GenerationDocument, ParentPoint } from '../layout/generation-document.ts';
import type { HeadPosition } from '../layout/head-document.ts';
import { type GenerationName, makeGenerationName } from '../layout/keys.ts';
import type { ReplicaClient } from '../replica/replica-client.ts';
import type { CommonPoint } from './find-common-point.ts';
import { HeadLease } from './head-lease.ts';
import { findLeaseMode, type LeaseMode } from './lease-mode.ts';
import type { LocalFacts } from './local-facts.ts';
import { newHead } from './new-head.ts';
import type { StartDecision } from './start-decision.ts';
import type { StoredState } from './stored-state.ts';
import { writeGeneration } from './write-generation.ts';
import type { Writer } from './writer.ts';

export interface TakeHeadOptions {
  readonly client: ReplicaClient;
  readonly writer: Writer;
  readonly leaseTtlMs: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly randomHex?: (bytes: number) => string;
}

export interface TakeHeadFacts {
  readonly state: StoredState;
  readonly local: LocalFacts;
  /** After the stored position, where the local log agrees up to there. */
  readonly agreed: TailPosition | null;
  readonly common: CommonPoint | null;
  /** Where a line begins behind damage. */
  readonly base: TailPosition | null;
  readonly lastNumber: number;
}

export interface ListedSnapshots {
  readonly generation: GenerationName | null;
  /** Ascending. */
  readonly snapshots: readonly TxOffset[];
}

export interface Started {
  readonly lease: HeadLease;
  readonly generation: GenerationDocument;
  /** Whether the generation begins here. */
  readonly isNew: boolean;
  /** Where reading goes on. */
  readonly tail: TailPosition;
  readonly stored: HeadPosition | null;
  /** The first transaction that the line holds, where it begins by itself and that is known; else null. */
  readonly lineStart: TxOffset | null;
  /** The snapshots that the listing at the start showed, and of which generation: this one or the one before. */
  readonly listedSnapshots: ListedSnapshots;
}

export type TakeDecision = Extract<StartDecision, { kind: 'continue' | 'begin' }>;

const cryptoHex = (bytes: number): string => randomBytes(bytes).toString('hex');

/** @throws PreconditionFailedError when another writer was quicker; store errors */
export async function takeHead(
  decision: TakeDecision,
  facts: TakeHeadFacts,
  options: TakeHeadOptions & { readonly signal?: AbortSignal | undefined },
): Promise<Started> {
  const { client, clock, log, signal } = options;
  const { state, local } = facts;
  const isNew = decision.kind === 'begin';
  const { tail, stored, parent } = placeOf(decision, facts);
  // Only a lease that was exclusive is ever released, and only a released one continued.
  const mode: LeaseMode = isNew
    ? await findLeaseMode(client, { kind: 'database', head: state.head?.version, signal })
    : 'exclusive';
  const generation = isNew ? newGeneration(decision.reason, parent, { facts, options }) : state.generation;
  assert(generation !== null, 'a generation that is not there cannot be continued');
  if (isNew) await writeGeneration(client, generation, { mode, signal });
  const document = newHead({ generation: generation.generation, position: stored }, options);
  const replaces = state.head?.version ?? null;
  const lease = await HeadLease.take({ client, clock, log }, document, { replaces, mode, signal });
  const listedSnapshots = { generation: state.generation?.generation ?? null, snapshots: state.snapshots };
  const lineStart = generation.parent !== null ? null : isNew ? tail.nextTx : local.logStart;
  return { lease, generation, isNew, tail, stored, lineStart, listedSnapshots };
}

interface Place {
  readonly tail: TailPosition;
  readonly stored: HeadPosition | null;
  readonly parent: ParentPoint | null;
}

function placeOf(decision: TakeDecision, { state, local, agreed, common, base }: TakeHeadFacts): Place {
  const at = decision.kind === 'continue' ? 'stored' : decision.at;
  const nothing = { stored: null, parent: null };
  switch (at) {
    case 'stored': {
      if (state.position === null || agreed === null) {
        return { tail: beginningOf(local.logStart, micros(0n)), ...nothing };
      }
      const stored = inSegmentOf(agreed, state.position);
      return { tail: agreed, stored, parent: parentPoint(state) };
    }
    case 'common': {
      assert(common !== null, 'no common point to branch off from');
      const { generation, position, tail, time } = common;
      const stored = inSegmentOf(tail, { ...position, segment: position.tx, time });
      return { tail, stored, parent: { generation, position } };
    }
    case 'base':
      assert(base !== null, 'no snapshot to begin at');
      return { tail: base, ...nothing };
    case 'none':
      return { tail: beginningOf(local.logStart, micros(0n)), ...nothing };
  }
}

/**
 * The stored position, in the segment where the local log holds it: a restored log may have other segments, and the next
 * start lists from there on.
 */
const inSegmentOf = ({ segment }: TailPosition, position: HeadPosition): HeadPosition =>
  segment > position.tx ? position : { ...position, segment };

/** A generation that stored nothing of its own is left out of the line: its parent point is ours too. */
function parentPoint({ generation, position, snapshots }: StoredState): ParentPoint | null {
  if (generation === null || position === null) return null;
  const inherited = generation.parent;
  const storedNothing = snapshots.length === 0 && inherited !== null && samePosition(inherited.position, position);
  if (storedNothing) return inherited;
  return { generation: generation.generation, position: { tx: position.tx, crc: position.crc } };
}

function newGeneration(
  reason: GenerationDocument['reason'],
  parent: ParentPoint | null,
  { facts, options }: { facts: TakeHeadFacts; options: TakeHeadOptions },
): GenerationDocument {
  const { state, local, lastNumber } = facts;
  const { writer, clock, randomHex = cryptoHex } = options;
  // What is unknown here is inherited only where the history is.
  const inherited = parent === null ? null : (state.generation?.databaseIdentity ?? null);
  return {
    generation: makeGenerationName(lastNumber + 1, randomHex(4)),
    databaseIdentity: local.databaseIdentity ?? inherited,
    replicaId: local.replicaId,
    createdAt: clock.now(),
    reason,
    parent,
    writer: { owner: writer.owner, host: writer.process.host, version: writer.version },
  };
}
