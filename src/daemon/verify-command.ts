/** `verify`: each destination asked for, one after the other, under one memory. */
import { type Clock, systemClock } from '../core/clock.ts';
import { ByteBudget } from '../core/byte-budget.ts';
import { CorruptionError, EXIT, type ExitCode } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { replicaPrefix } from '../layout/server-keys.ts';
import type { ReplicaClient } from '../replica/replica-client.ts';
import { redactUrl } from '../replica/registry.ts';
import { prefixedClient } from '../replica/wrap/prefixed.ts';
import { checkBudget } from '../restore/check-budget.ts';
import { roundOfDay, type Sample, sampleOf, WHOLE } from '../verify/sample.ts';
import type { VerifyProgress } from '../verify/verify-database.ts';
import { type VerifiedStore, verifyStore } from '../verify/verify-store.ts';
import { openDestination } from './destination.ts';
import { combineExitCodes, exitCodeOfError } from './exit-code.ts';

export interface VerifyCommandOptions {
  readonly urls: readonly string[];
  /** Of a server's backup: this database alone. */
  readonly replicaId?: bigint | undefined;
  /** How much is read beside names and documents, in percent of the objects: 0 none, 100 all. */
  readonly percent: number;
  /** Which part; null: that of the day. */
  readonly round: number | null;
  /** Requests at once. */
  readonly parallelism: number;
  readonly memoryBytes: number;
  readonly requestTimeoutMs: number;
  readonly giveUpAfterMs: number;
  readonly log: Log;
  readonly progress: (progress: VerifyProgress) => void;
  readonly signal: AbortSignal;
  readonly clock?: Clock;
}

export interface VerifiedDestination {
  /** Without secrets. */
  readonly source: string;
  /** An error where it could not be asked. */
  readonly result: (VerifiedStore & { readonly durationMs: number }) | Error;
}

/** What could not be asked is told beside what could. @throws ConfigurationError; the signal's reason */
export async function runVerify(options: VerifyCommandOptions): Promise<readonly VerifiedDestination[]> {
  checkBudget(new ByteBudget(options.memoryBytes));
  const verified: VerifiedDestination[] = [];
  for (const url of options.urls) {
    try {
      verified.push({ source: redactUrl(url), result: await verifyOne(url, options) });
    } catch (error) {
      options.signal.throwIfAborted();
      if (!(error instanceof Error)) throw error;
      verified.push({ source: redactUrl(url), result: error });
    }
  }
  return verified;
}

async function verifyOne(
  url: string,
  options: VerifyCommandOptions,
): Promise<VerifiedStore & { readonly durationMs: number }> {
  const { clock = systemClock, replicaId, parallelism, signal, log, progress } = options;
  const deep = sampleFor(options, clock);
  const begin = clock.monotonic();
  const { client } = await openDestination(url, { ...options, clock });
  await using _ = client;
  const asked = replicaId === undefined ? client : prefixedClient(client, replicaPrefix(replicaId));
  const clientAt = (prefix: string): ReplicaClient => prefixedClient(asked, prefix);
  const fetch = { client: asked, budget: new ByteBudget(options.memoryBytes), parallelism, signal };
  const result = await verifyStore({ fetch, clientAt, deep, log, progress });
  return { ...result, durationMs: clock.monotonic() - begin };
}

/** Null: names and documents alone. */
function sampleFor({ percent, round }: VerifyCommandOptions, clock: Clock): Sample | null {
  if (percent === 0) return null;
  return percent === 100 ? WHOLE : sampleOf(percent, round ?? roundOfDay(Number(clock.now() / 1000n)));
}

const hasDamage = ({ findings }: VerifiedStore): boolean => findings.some(({ severity }) => severity === 'damage');

/** 14 where one destination is damaged, whatever else; else the common code of what went wrong. */
export function exitCodeOfVerify(verified: readonly VerifiedDestination[]): ExitCode {
  const isDamaged = verified.some(({ result }) =>
    result instanceof Error ? result instanceof CorruptionError : hasDamage(result),
  );
  if (isDamaged) return EXIT.corruption;
  return combineExitCodes(verified.map(({ result }) => (result instanceof Error ? exitCodeOfError(result) : EXIT.ok)));
}
