/** What a start must know before it decides, gathered from the local directory and the store, and the decision. */
import { isUnreadable, throughBadSectors } from '../capture/bad-sectors.ts';
import { compareWithLocalLog, type LogComparison, readLogStart } from '../capture/local-log.ts';
import type { LogDamagedError } from '../capture/log-damage.ts';
import { findStandingDamage } from '../capture/standing-damage.ts';
import { UnsupportedFormatError } from '../core/errors.ts';
import { isProvenDead } from '../core/process-identity.ts';
import { samePosition, type TxOffset, txOffset } from '../core/types.ts';
import type { HeadDocument } from '../layout/head-document.ts';
import type { ObjectVersion } from '../replica/replica-client.ts';
import { type CommonPointSearch, findCommonPoint } from './find-common-point.ts';
import { findBase, localLogState, readLocalFacts } from './local-facts.ts';
import { decideStart, type HeadState, type StartDecision } from './start-decision.ts';
import type { StartOptions } from './start-options.ts';
import { damageAtStart, unreadableDamage } from './start-words.ts';
import { readStoredState, type StoredState } from './stored-state.ts';
import type { TakeHeadFacts } from './take-head.ts';

export interface Facts extends TakeHeadFacts {
  readonly comparison: LogComparison | null;
  readonly damage: LogDamagedError | null;
  readonly decision: StartDecision;
}

export interface Look {
  readonly facts: Facts;
  /** With the files as they were looked at. */
  readonly options: LookOptions;
}

export interface LookOptions extends StartOptions {
  /** Whether filler stood for something that was looked at. */
  readonly hasFilled: () => boolean;
}

interface LookedAt {
  /** The version of head.json that was seen not to change for its whole ttl. */
  readonly expired: ObjectVersion | null;
  readonly signal: AbortSignal | undefined;
}

/**
 * Null where there is no log.
 *
 * @throws store errors; LocalFileError, UnsupportedFormatError of the local log
 */
export async function lookAround(given: StartOptions, at: LookedAt): Promise<Look | null> {
  const plain: LookOptions = { ...given, hasFilled: () => false };
  const { unreadable } = given.carried ?? {};
  if (!unreadable) return look(plain, at);
  const options = lookingThrough(given);
  const through = await look(options, at).catch((error: unknown) => {
    // Of a version that is not known may be what filler makes of it.
    throw options.hasFilled() && error instanceof UnsupportedFormatError ? unreadable : error;
  });
  if (through?.facts.decision.kind !== 'begin' || !options.hasFilled()) return through;
  try {
    // What begins cannot be taken back: a disk that gives all of it again meanwhile has the last word.
    return await look({ ...plain, carried: { ...given.carried, unreadable: null } }, at);
  } catch (error) {
    if (isUnreadable(error)) return through;
    throw error;
  }
}

async function look(options: LookOptions, at: LookedAt): Promise<Look | null> {
  const logStart = await readLogStart(options.source);
  if (logStart === null) return null;
  options.onLog?.();
  return { facts: await gather(options, { logStart, ...at }), options };
}

/** What cannot be read is passed over, and damage, only where it has stayed so. */
function lookingThrough(options: StartOptions): LookOptions {
  let filled = false;
  const files = throughBadSectors(options.source.files, { onFill: () => void (filled = true) });
  return { ...options, source: { ...options.source, files }, hasFilled: () => filled };
}

async function gather(
  options: LookOptions,
  { logStart, expired, signal }: LookedAt & { readonly logStart: TxOffset },
): Promise<Facts> {
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
  requireReadable(options, { compared, comparison });
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
  { carried, hasFilled }: LookOptions,
  { compared, comparison }: { compared: LogComparison | null; comparison: LogComparison | null },
): void {
  if (!carried?.unreadable || !hasFilled()) return;
  if (comparison?.agreement === 'shorter' || comparison !== compared) throw carried.unreadable;
}

/** What was found just now, or before and still stands. */
async function findDamage(
  comparison: LogComparison | null,
  { options, signal }: { options: LookOptions; signal: AbortSignal | undefined },
): Promise<LogDamagedError | null> {
  const { damage = null, unreadable } = options.carried ?? {};
  const standing =
    comparison?.agreement === 'damaged'
      ? damageAtStart(comparison, options)
      : damage && (await findStandingDamage(options.source, damage, { signal }));
  return standing && unreadable && options.hasFilled() ? unreadableDamage(unreadable, standing) : standing;
}

/** What is stored needs no snapshot. */
export function baseFrom({ damage }: LogDamagedError, { position }: StoredState): TxOffset {
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
