/**
 * How a writer starts: gathers the facts, asks the decision table, and takes the head. Nothing of the database is sent
 * here; a refused start leaves the store as it was.
 */
import type { TailPosition } from '../capture/commit-run.ts';
import { throughBadSectors } from '../capture/bad-sectors.ts';
import { compareWithLocalLog, type LogComparison, readLogStart } from '../capture/local-log.ts';
import type { LogDamagedError } from '../capture/log-damage.ts';
import { findStandingDamage } from '../capture/standing-damage.ts';
import type { LocalFileError, SourceDivergedError } from '../core/errors.ts';
import { isProvenDead, type ProcessIdentity } from '../core/process-identity.ts';
import { samePosition, type TxOffset, txOffset } from '../core/types.ts';
import type { GenerationReason } from '../layout/generation-document.ts';
import type { HeadDocument } from '../layout/head-document.ts';
import { type ObjectVersion, PreconditionFailedError } from '../replica/replica-client.ts';
import { type CommonPointSearch, findCommonPoint } from './find-common-point.ts';
import { waitForLease } from './lease-wait.ts';
import { findBase, localLogState, type LocalPlace, readLocalFacts } from './local-facts.ts';
import { conditionsBroken, ownerError } from './refusals.ts';
import { decideStart, type HeadState, type StartDecision } from './start-decision.ts';
import { baseError, damageAtStart, sayBegun, unreadableDamage } from './start-words.ts';
import { readStoredState, type StoredState } from './stored-state.ts';
import { type Started, takeHead, type TakeHeadFacts, type TakeHeadOptions } from './take-head.ts';

export interface StartOptions extends TakeHeadOptions, LocalPlace {
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
  /** Whether this is a single pass, which waits for no process that is seen to run on this machine. */
  readonly once?: boolean;
  /** Whether a process is proven to have ended. Default: by this machine's /proc. */
  readonly isProvenDead?: (process: ProcessIdentity) => Promise<boolean>;
  /** What the episode before has learnt. */
  readonly carried?: Carried;
  /** Whether a new generation may begin, for this reason. Default: always. */
  readonly mayBegin?: (reason: GenerationReason) => boolean;
}

/** What is known from before, by the same process. */
export interface Carried {
  /** Where the log was found to be damaged: looked at again. */
  readonly damage?: TailPosition | null;
  /** Why a file of the log cannot be read, which has lasted: what is looked at is looked at through it. */
  readonly unreadable?: LocalFileError | null;
  /** The local log may be another one than the one that was read: all that is stored is compared, not the end alone. */
  readonly inDoubt?: boolean;
  /** The session under which this process held the head before: it writes no more. */
  readonly endedSession?: string | null;
  /** Of the database whose snapshots are stored, where the generation itself does not name it. */
  readonly storedIdentity?: string | null;
}

export type StartOutcome =
  | { readonly kind: 'started'; readonly started: Started; readonly damage: LogDamagedError | null }
  /** The local log holds nothing: ask again later. */
  | { readonly kind: 'no-log' }
  /** Nothing that could be stored now could be restored: ask again later. */
  | {
      readonly kind: 'no-base';
      readonly error: SourceDivergedError | LogDamagedError;
      /** Whether that is still so, by local reads: another log than the one that was looked at is news. */
      readonly isMissing: () => Promise<boolean>;
    }
  /** A new generation would begin, and may not. */
  | { readonly kind: 'refused'; readonly reason: GenerationReason };

interface Facts extends TakeHeadFacts {
  readonly comparison: LogComparison | null;
  readonly damage: LogDamagedError | null;
  readonly decision: StartDecision;
}

/**
 * @throws LeaseHeldError, ConfigurationError; store errors; LocalFileError, UnsupportedFormatError of the local log
 */
export async function start(
  given: StartOptions,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<StartOutcome> {
  const options = lookingThrough(given);
  const { client, log } = options;
  let expired: ObjectVersion | null = null;
  /** The version of head.json, null for none, in whose place ours was refused. */
  let refused: ObjectVersion | null | undefined;
  for (;;) {
    const logStart = await readLogStart(options.source);
    if (logStart === null) return { kind: 'no-log' };
    options.onLog?.();
    const facts = await gather(options, { logStart, expired, signal });
    const { decision, state } = facts;
    log.debug('start', { decision: decision.kind, head: state.head?.document.generation ?? null });
    switch (decision.kind) {
      case 'wait-for-log':
        return { kind: 'no-log' };
      case 'wait-for-base':
        return {
          kind: 'no-base',
          error: baseError(decision.because, facts, options),
          isMissing: () => isBaseMissing(decision.because, facts, { options, signal }),
        };
      case 'stop':
        throw ownerError(state, client);
      case 'wait-for-lease':
        if (state.head !== null) expired = await waitForLease(options, state.head, { signal });
        continue;
      case 'begin':
      case 'continue':
        break;
    }
    if (decision.kind === 'begin' && options.mayBegin?.(decision.reason) === false) {
      return { kind: 'refused', reason: decision.reason };
    }
    try {
      const started = await takeHead(decision, facts, { ...options, signal });
      if (started.isNew) sayBegun(started, facts, options);
      return { kind: 'started', started, damage: facts.damage };
    } catch (error) {
      if (!(error instanceof PreconditionFailedError)) throw error;
      const found = state.head?.version ?? null;
      if (found === refused) throw conditionsBroken(client, error);
      refused = found;
      log.warn('another writer took the head first; looking again', { generation: state.generation?.generation });
    }
  }
}

/** What cannot be read is passed over, and damage, only where it has stayed so. */
function lookingThrough(options: StartOptions): StartOptions {
  const { source, carried } = options;
  if (!carried?.unreadable) return options;
  return { ...options, source: { ...source, files: throughBadSectors(source.files) } };
}

interface GatherOptions {
  readonly logStart: TxOffset;
  readonly expired: ObjectVersion | null;
  readonly signal: AbortSignal | undefined;
}

async function gather(options: StartOptions, { logStart, expired, signal }: GatherOptions): Promise<Facts> {
  const { client, source } = options;
  const local = await readLocalFacts(options, logStart);
  const state = await readStoredState(client, { signal });
  options.onAnswer?.();
  const known = {
    local: localLogState(local),
    head: await headState(state, options, expired),
    otherOwner: isOtherOwner(state, options),
    takeover: options.takeover === true,
    otherIdentity: isOther(
      state.generation?.databaseIdentity ?? options.carried?.storedIdentity ?? null,
      local.databaseIdentity,
    ),
    conditional: client.conditional === 'full',
    agreement: 'nothing-stored' as const,
    damage: 'none' as const,
    common: false,
  };
  const facts = { state, local, comparison: null, agreed: null, common: null, base: null, damage: null };
  // Where it is not ours to write, neither the log need be compared nor the whole store be listed.
  const early = decideStart(known);
  if (
    early.kind === 'stop' ||
    early.kind === 'wait-for-lease' ||
    (early.kind === 'begin' && early.reason === 'replaced')
  ) {
    return { ...facts, decision: early, lastNumber: state.lastNumber };
  }
  const { position } = state;
  const compared = position && (await compareWithLocalLog(source, state.ends, { time: position.time, signal }));
  const search = await searchWhereParted(compared, { options, state, signal });
  const comparison = doubted(compared, { search, state });
  requireReadable(options.carried, { compared, comparison });
  const common = search?.point ?? null;
  const damage = await findDamage(comparison, { options, signal });
  const base = damage && (await findBase(options, local, { from: baseFrom(damage, state), signal }));
  const isDamaged = comparison?.agreement === 'damaged';
  const decision = decideStart({
    ...known,
    agreement: isDamaged ? 'agrees' : (comparison?.agreement ?? 'nothing-stored'),
    damage: damage === null ? 'none' : base === null ? 'baseless' : 'based',
    common: common !== null,
  });
  const agreed = comparison?.agreement === 'agrees' ? comparison.tail : null;
  const lastNumber = Math.max(state.lastNumber, search?.lastNumber ?? 0);
  return { ...facts, comparison, agreed, common, base, damage, decision, lastNumber };
}

/** The whole store is looked through where the end alone does not decide. */
async function searchWhereParted(
  comparison: LogComparison | null,
  { options, state, signal }: { options: StartOptions; state: StoredState; signal: AbortSignal | undefined },
): Promise<CommonPointSearch | null> {
  const name = state.generation?.generation ?? null;
  const agrees = comparison?.agreement === 'agrees' || comparison?.agreement === 'damaged';
  const settled = comparison === null ? state.lastNumber <= 1 : agrees && options.carried?.inDoubt !== true;
  return settled ? null : findCommonPoint({ ...options, preferred: name, signal });
}

/** An end that agrees is not enough where the log may be another one: all that is stored of the line must agree. */
function doubted(
  comparison: LogComparison | null,
  { search, state }: { search: CommonPointSearch | null; state: StoredState },
): LogComparison | null {
  if (comparison?.agreement !== 'agrees' || search === null || state.position === null) return comparison;
  const { point } = search;
  if (point !== null && samePosition(point.position, state.position)) return comparison;
  if (point !== null && point.position.tx > state.position.tx) return comparison;
  const detail =
    point === null ? 'no commit of it can be proven to be stored' : `it differs after transaction ${point.position.tx}`;
  return { agreement: 'differs', detail };
}

/**
 * Where bytes are read through that the disk does not give, an end that is not found may be one of those: only a commit
 * that is another one is proof that the log is.
 *
 * @throws LocalFileError
 */
function requireReadable(
  carried: Carried | undefined,
  { compared, comparison }: { compared: LogComparison | null; comparison: LogComparison | null },
): void {
  if (!carried?.unreadable) return;
  if (comparison?.agreement === 'shorter' || comparison !== compared) throw carried.unreadable;
}

/** What was found just now, or before and still stands. */
async function findDamage(
  comparison: LogComparison | null,
  { options, signal }: { options: StartOptions; signal: AbortSignal | undefined },
): Promise<LogDamagedError | null> {
  const { damage = null, unreadable } = options.carried ?? {};
  const standing =
    comparison?.agreement === 'damaged'
      ? damageAtStart(comparison, options)
      : damage && (await findStandingDamage(options.source, damage, { signal }));
  return standing && unreadable ? unreadableDamage(unreadable, standing) : standing;
}

/** The part of a look that needs no store: whether nothing but waiting would come of a whole one. */
async function isBaseMissing(
  because: 'log-start' | 'damage',
  { local: before, damage, state }: Facts,
  { options, signal }: { options: StartOptions; signal: AbortSignal | undefined },
): Promise<boolean> {
  const logStart = await readLogStart(options.source);
  if (logStart !== before.logStart) return false;
  const local = await readLocalFacts(options, logStart);
  if (local.databaseIdentity !== before.databaseIdentity) return false;
  if (because === 'log-start') return localLogState(local) === 'above-zero-baseless';
  const standing = damage && (await findStandingDamage(options.source, damage.damage, { signal }));
  if (standing === null) return false;
  return (await findBase(options, local, { from: baseFrom(standing, state), signal })) === null;
}

/** What is stored needs no snapshot. */
function baseFrom({ damage }: LogDamagedError, { position }: StoredState): TxOffset {
  return position === null || position.tx < damage.nextTx ? damage.nextTx : txOffset(position.tx + 1n);
}

const isOther = (stored: string | null, local: string | null): boolean =>
  stored !== null && local !== null && stored !== local;

function isOtherOwner({ head, generation }: StoredState, { writer }: StartOptions): boolean {
  const owner = head?.document.owner ?? generation?.writer.owner ?? writer.owner;
  return owner !== writer.owner;
}

async function headState(
  { head, generation }: StoredState,
  options: StartOptions,
  expired: ObjectVersion | null,
): Promise<HeadState> {
  if (generation === null) return 'empty';
  if (head === null) return 'headless';
  if (head.document.released) return 'released';
  if (head.version === expired || isOurEnded(head.document, options)) return 'dead';
  const { writer, isProvenDead: isDead = (process) => isProvenDead(process, writer.process) } = options;
  return (await isDead(head.document.process)) ? 'dead' : 'unproven';
}

const isOurEnded = ({ session }: HeadDocument, { carried }: StartOptions): boolean => session === carried?.endedSession;
