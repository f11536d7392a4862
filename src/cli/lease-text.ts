/** A lease, and its release, as people and programs read them. */
import { errorMessage, ReplicateError } from '../core/errors.ts';
import type { Micros } from '../core/types.ts';
import type { HeadRelease, LeaseDescription } from '../daemon/lease-command.ts';
import { ageSeconds, humanAge, humanDuration, humanTime, isoTime } from './units.ts';

const SEEN: Readonly<Record<LeaseDescription['process'], string>> = {
  alive: 'it runs on this machine',
  dead: 'it is proven dead',
  unknown: 'whether it runs cannot be seen from here',
};

const CONDITIONS = {
  exclusive: 'guarded by conditional writes',
  advisory: 'not guarded: this store has no conditional writes',
  /** Only its holder knows: it has asked the store for what an honest one refuses, and reading cannot tell. */
  unknown: 'guarded by conditional writes, if its holder found that they work here',
} as const;

const when = (time: Micros, now: Micros): string => `${humanTime(time)} (${humanAge(ageSeconds(time, now))})`;

/** The destination, and in it the part that one of several heads is for. */
export const placeOf = (destination: string, prefix: string): string =>
  prefix === '' ? destination : `${destination}  ${prefix}`;

export function errorText(error: Error): string {
  const hint = error instanceof ReplicateError && error.hint !== undefined ? ` (${error.hint})` : '';
  return `error: ${errorMessage(error)}${hint}`;
}

export function formatLease(place: string, { kind, head, process, mode }: LeaseDescription, now: Micros): string {
  if (head === null)
    return `${place}\n  held by     nobody: there is no head.json, the next start looks for the newest generation`;
  const { owner, process: holder, generation, position, ttlMs, released } = head;
  const stored = position
    ? `up to transaction ${position.tx} ${released ? '' : 'at the last renewal'}`.trimEnd()
    : 'nothing in this line at the last renewal';
  return [
    place,
    `  owner       ${owner}`,
    released
      ? `  held by     nobody: released by process ${holder.pid} on ${holder.host}; the next start of ${owner} goes on`
      : `  held by     process ${holder.pid} on ${holder.host}; ${SEEN[process]}`,
    `  since       ${when(head.acquiredAt, now)}`,
    `  ${released ? 'released  ' : 'renewed   '}  ${when(head.renewedAt, now)}`,
    `  ttl         ${humanDuration(ttlMs)}`,
    `  generation  ${generation}`,
    // Images of a server have names and no position.
    ...(kind === 'server' ? [] : [`  stored      ${stored}`]),
    `  lease       ${CONDITIONS[mode ?? 'unknown']}`,
  ].join('\n');
}

export const errorDocument = (error: Error): Record<string, unknown> => ({
  error: error instanceof ReplicateError ? error.code : error.name,
  message: error.message,
});

/** One element of `leases` of a destination in the document of -json. */
export function leaseDocument({ prefix, head, process, mode }: LeaseDescription): Record<string, unknown> {
  if (head === null) return { prefix, head: null, mode };
  const { machineId, bootId, pidNamespace, pid, startTime, host } = head.process;
  return {
    prefix,
    mode,
    head: {
      owner: head.owner,
      session: head.session,
      process: { machineId, bootId, pidNamespace, pid, startTime, host, seen: process },
      acquiredAt: isoTime(head.acquiredAt),
      renewedAt: isoTime(head.renewedAt),
      ttlSeconds: head.ttlMs / 1000,
      generation: head.generation,
      position: head.position && { tx: head.position.tx.toString(), time: isoTime(head.position.time) },
      released: head.released,
    },
  };
}

const CAUSES = {
  dead: 'its process is proven dead',
  expired: 'it stood still for its whole ttl while it was watched',
} as const;

/** What was done, and what the next start will do. */
export function formatRelease(place: string, { outcome }: HeadRelease): string {
  if (outcome instanceof Error) return `${place}\n  ${errorText(outcome)}`;
  if (outcome.kind === 'unheld') {
    return `${place}\n  Nobody holds it: there is no head.json. The next start looks for the newest generation.`;
  }
  const { owner, process, generation } = outcome.head.document;
  const next = `The next start of owner ${owner}`;
  switch (outcome.kind) {
    case 'released-before':
      return `${place}\n  Nobody holds it: it was released before. ${next} goes on in generation ${generation}.`;
    case 'advisory':
      return `${place}\n  Nothing was released: in a store without conditional writes a lease only runs out. ${next} begins a new generation ${outcome.because === 'dead' ? 'at once, on this machine' : `after ${humanDuration(outcome.head.document.ttlMs)}`}.`;
    case 'released': {
      const from =
        outcome.position === null ? 'from the start of its log' : `behind transaction ${outcome.position.tx}`;
      return [
        place,
        `  Released the lease of process ${process.pid} on ${process.host}: ${CAUSES[outcome.because]}.`,
        `  ${next} goes on at once ${from}, in the new generation ${outcome.generation},`,
        '  if its log agrees with what is stored. Another owner still needs -takeover.',
      ].join('\n');
    }
  }
}

/** One element of `leases` of a destination in the document of -json. */
export function releaseDocument({ prefix, outcome }: HeadRelease): Record<string, unknown> {
  if (outcome instanceof Error) return { prefix, ...errorDocument(outcome) };
  if (outcome.kind === 'unheld') return { prefix, outcome: outcome.kind };
  const { owner, generation } = outcome.head.document;
  const common = { prefix, outcome: outcome.kind, owner, generation };
  if (outcome.kind === 'released-before') return common;
  if (outcome.kind === 'advisory') return { ...common, because: outcome.because };
  const { because, position } = outcome;
  return {
    ...common,
    because,
    generation: outcome.generation,
    position: position && { tx: position.tx.toString(), time: isoTime(position.time) },
  };
}
