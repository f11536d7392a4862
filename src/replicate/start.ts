/**
 * How a writer starts: gathers the facts, asks the decision table, and takes the head. Nothing of the database is sent
 * here; a refused start leaves the store as it was.
 */
import { randomBytes } from 'node:crypto';
import { basename } from 'node:path';
import type { TailPosition } from '../capture/commit-run.ts';
import { compareWithLocalLog, type LogComparison, type LogSource, readLogStart } from '../capture/local-log.ts';
import { beginningOf } from '../capture/log-tailer.ts';
import type { Clock } from '../core/clock.ts';
import { assert, CorruptionError, UnsupportedFormatError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { isProvenDead, type ProcessIdentity } from '../core/process-identity.ts';
import { micros, samePosition, type TxOffset } from '../core/types.ts';
import { encodeGenerationDocument, type GenerationDocument, type ParentPoint } from '../layout/generation-document.ts';
import type { HeadDocument, HeadPosition } from '../layout/head-document.ts';
import { type GenerationName, generationKey, makeGenerationName, parseGenerationName } from '../layout/keys.ts';
import {
  type ObjectVersion,
  PreconditionFailedError,
  type ReplicaClient,
  UnsupportedByStoreError,
} from '../replica/replica-client.ts';
import { parseReplicaId } from '../spacetimedb/file-names.ts';
import { listSnapshots, readSnapshotFile } from '../spacetimedb/snapshots.ts';
import { HeadLease } from './head-lease.ts';
import type { StoredHead } from './head-lease-read.ts';
import { findLeaseMode, type LeaseMode } from './lease-mode.ts';
import { waitForLease } from './lease-wait.ts';
import { refusal } from './start-refusal.ts';
import { decideStart, type HeadState, type LocalLogState, type StartDecision } from './start-decision.ts';
import { readStoredState, type StoredState } from './stored-state.ts';
import type { Writer } from './writer.ts';

export interface StartOptions {
  readonly client: ReplicaClient;
  readonly source: LogSource;
  /** The `snapshots` directory. */
  readonly snapshotsDirectory: string;
  /** The replica directory, for messages and for the replica id in its name. */
  readonly database: string;
  readonly writer: Writer;
  readonly leaseTtlMs: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Told once the local log is there. */
  readonly onLog?: () => void;
  /** Told once the store has answered. */
  readonly onAnswer?: () => void;
  /** Aborted by who wants no lease any more: waiting for one ends then. */
  readonly draining?: AbortSignal;
  /** Whether another owner's head may be taken. */
  readonly takeover?: boolean;
  /** Whether to wait for a lease of our owner for as long as it is held. */
  readonly standby?: boolean;
  /** So many random bytes as hex digits, for names. Default: by node:crypto. */
  readonly randomHex?: (bytes: number) => string;
  /** Whether a process is proven to have ended. Default: by this machine's /proc. */
  readonly isProvenDead?: (process: ProcessIdentity) => Promise<boolean>;
}

export interface ListedSnapshots {
  readonly generation: GenerationName | null;
  /** Ascending. */
  readonly snapshots: readonly TxOffset[];
}

export interface Started {
  readonly lease: HeadLease;
  readonly generation: GenerationDocument;
  /** Where reading goes on. */
  readonly tail: TailPosition;
  readonly stored: HeadPosition | null;
  /** The snapshots that the listing at the start showed, and of which generation: this one or the one before. */
  readonly listedSnapshots: ListedSnapshots;
}

/** What the local directory says of the database, as far as it does. */
interface LocalFacts {
  readonly logStart: TxOffset;
  readonly newestSnapshot: TxOffset | null;
  readonly databaseIdentity: string | null;
  readonly replicaId: bigint | null;
}

/**
 * Null while the local log holds nothing: ask again later.
 *
 * @throws LeaseHeldError, SourceDivergedError, CorruptionError; store errors
 */
export async function start(
  options: StartOptions,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<Started | null> {
  const { client, source, log } = options;
  let expired: ObjectVersion | null = null;
  /** The version of head.json, null for none, in whose place ours was refused. */
  let refused: ObjectVersion | null | undefined;
  for (;;) {
    const logStart = await readLogStart(source);
    if (logStart === null) return null;
    options.onLog?.();
    const local = await readLocalFacts(options, logStart);
    const state = await readStoredState(client, { signal });
    options.onAnswer?.();
    const comparison = await compare(source, state, { signal });
    const decision = decideStart({
      local: localLogState(local),
      head: await headState(state, options, expired),
      agreement: comparison?.agreement ?? 'nothing-stored',
      otherIdentity: isOther(state.generation?.databaseIdentity ?? null, local.databaseIdentity),
      conditional: client.conditional === 'full',
    });
    log.debug('start', { decision: decision.kind, head: state.head?.document.generation ?? null });
    if (decision.kind === 'wait-for-log') return null;
    if (decision.kind === 'stop') {
      const detail = comparison !== null && 'detail' in comparison ? comparison.detail : '';
      throw refusal(decision.because, { ...options, ...local, state, detail });
    }
    if (decision.kind === 'wait-for-lease') {
      const held = state.head as StoredHead;
      expired = (await waitForLease(options, held, { signal })) ?? expired;
      continue;
    }
    const tail = comparison?.agreement === 'agrees' ? comparison.tail : beginningOf(logStart, micros(0n));
    try {
      return await take(decision, { options, state, local, tail, signal });
    } catch (error) {
      if (!(error instanceof PreconditionFailedError)) throw error;
      const found = state.head?.version ?? null;
      if (found === refused) throw conditionsBroken(client, error);
      refused = found;
      log.warn('another writer took the head first; looking again', { generation: state.generation?.generation });
    }
  }
}

const conditionsBroken = (client: ReplicaClient, cause: Error): UnsupportedByStoreError =>
  new UnsupportedByStoreError(`${client.url} refuses to write head.json although nobody has changed it`, {
    cause,
    hint: 'This store does not do conditional writes as it should: use another one, or a newer release of it.',
    facts: { url: client.url },
  });

async function readLocalFacts(
  { source, snapshotsDirectory, database }: StartOptions,
  logStart: TxOffset,
): Promise<LocalFacts> {
  for (const entry of await listSnapshots(source.files, snapshotsDirectory)) {
    const read = await readSnapshotFile(source.files, entry).catch((error: unknown) => {
      // One that cannot be read says nothing of the database; it is reported when it would be stored.
      if (error instanceof CorruptionError || error instanceof UnsupportedFormatError) return null;
      throw error;
    });
    if (read === null) continue;
    const { databaseIdentity, replicaId } = read.snapshot;
    return { logStart, newestSnapshot: entry.tx, databaseIdentity, replicaId };
  }
  return { logStart, newestSnapshot: null, databaseIdentity: null, replicaId: parseReplicaId(basename(database)) };
}

function localLogState({ logStart, newestSnapshot }: LocalFacts): LocalLogState {
  if (logStart === 0n) return 'from-zero';
  return newestSnapshot !== null && newestSnapshot >= logStart - 1n ? 'above-zero-based' : 'above-zero-baseless';
}

async function compare(
  source: LogSource,
  { ends, position }: StoredState,
  { signal }: { signal: AbortSignal | undefined },
): Promise<LogComparison | null> {
  return position === null ? null : compareWithLocalLog(source, ends, { time: position.time, signal });
}

const isOther = (stored: string | null, local: string | null): boolean =>
  stored !== null && local !== null && stored !== local;

async function headState(
  { head, generation }: StoredState,
  { writer, isProvenDead: isDead = (process) => isProvenDead(process, writer.process) }: StartOptions,
  expired: ObjectVersion | null,
): Promise<HeadState> {
  if (generation === null) return 'empty';
  const owner = head?.document.owner ?? generation.writer.owner;
  if (owner !== writer.owner) return 'other-owner';
  if (head === null) return 'headless';
  if (head.document.released) return 'released';
  if (head.version === expired) return 'dead';
  return (await isDead(head.document.process)) ? 'dead' : 'unproven';
}

interface TakeFacts {
  readonly options: StartOptions;
  readonly state: StoredState;
  readonly local: LocalFacts;
  readonly tail: TailPosition;
  readonly signal: AbortSignal | undefined;
}

async function take(
  decision: Extract<StartDecision, { kind: 'continue' | 'begin' }>,
  facts: TakeFacts,
): Promise<Started> {
  const { options, state, tail, signal } = facts;
  const { client, writer, clock, leaseTtlMs, log } = options;
  const continues = decision.kind === 'continue';
  const stored = continues || decision.parent ? positionIn(tail, state) : null;
  // Only a lease that was exclusive is ever released, and only a released one continued.
  const mode: LeaseMode = continues
    ? 'exclusive'
    : await findLeaseMode(client, { kind: 'database', head: state.head?.version, signal });
  const generation = continues ? state.generation : await begin(decision, { ...facts, mode });
  assert(generation !== null, 'a generation that is not there cannot be continued');
  const now = clock.now();
  const document: HeadDocument = {
    generation: generation.generation,
    owner: writer.owner,
    session: writer.session,
    process: writer.process,
    acquiredAt: now,
    renewedAt: now,
    ttlMs: leaseTtlMs,
    position: stored,
    released: false,
  };
  const replaces = state.head?.version ?? null;
  const lease = await HeadLease.take({ client, clock, log }, document, { replaces, mode, signal });
  const listedSnapshots = { generation: state.generation?.generation ?? null, snapshots: state.snapshots };
  return { lease, generation, tail, stored, listedSnapshots };
}

/**
 * The stored position, in the segment where the local log holds it: a restored log may have other segments, and the next
 * start lists from there on.
 */
function positionIn({ segment }: TailPosition, { position }: StoredState): HeadPosition | null {
  return position === null || segment > position.tx ? position : { ...position, segment };
}

const cryptoHex = (bytes: number): string => randomBytes(bytes).toString('hex');

/** Writes the new generation's document, which counts for nothing until head names it. */
async function begin(
  { reason, parent }: Extract<StartDecision, { kind: 'begin' }>,
  { options, state, local, mode, signal }: TakeFacts & { readonly mode: LeaseMode },
): Promise<GenerationDocument> {
  const { client, writer, clock, randomHex = cryptoHex } = options;
  const number = (parseGenerationName(state.generation?.generation ?? '')?.number ?? 0) + 1;
  const document: GenerationDocument = {
    generation: makeGenerationName(number, randomHex(4)),
    databaseIdentity: local.databaseIdentity ?? state.generation?.databaseIdentity ?? null,
    replicaId: local.replicaId,
    createdAt: clock.now(),
    reason,
    parent: parent ? parentPoint(state) : null,
    writer: { owner: writer.owner, host: writer.process.host, version: writer.version },
  };
  const ifAbsent = mode === 'exclusive';
  await client.put(generationKey(document.generation), encodeGenerationDocument(document), { ifAbsent, signal });
  return document;
}

/** A generation that stored nothing of its own is left out of the line: its parent point is ours too. */
function parentPoint({ generation, position, snapshots }: StoredState): ParentPoint {
  assert(generation !== null && position !== null, 'a parent point needs a stored position');
  const inherited = generation.parent;
  const storedNothing = snapshots.length === 0 && inherited !== null && samePosition(inherited.position, position);
  if (storedNothing) return inherited;
  return { generation: generation.generation, position: { tx: position.tx, crc: position.crc } };
}
