/** What a check of a backup says at its end. */
import type { VerifiedDestination } from '../daemon/verify-command.ts';
import type { RecoverableRange } from '../restore/recoverable.ts';
import type { Finding } from '../verify/finding.ts';
import type { VerifiedReplica, VerifiedStore } from '../verify/verify-store.ts';
import { counted, humanBytes, humanDuration, humanTime, isoTime } from './units.ts';

const FINDINGS_SHOWN_MAX = 200;

type VerifiedWithTime = VerifiedStore & { readonly durationMs: number };

const severityWord = { damage: 'DAMAGE', note: 'note' } as const;

function findingText({ severity, key, message, effect, remedy }: Finding): string {
  const object = key === null || message.includes(key) ? '' : `\n      object  ${key}`;
  return `  ${severityWord[severity]}  ${message}${object}\n      effect  ${effect}\n      remedy  ${remedy}`;
}

const rangeText = ({ first, to }: RecoverableRange): string => {
  const when = to.time === null || to.time === 0n ? '' : ` (${humanTime(to.time)})`;
  return first === to.tx ? `${first}${when}` : `${first} to ${to.tx}${when}`;
};

function databaseText({ replicaId, recoverable, isEmpty }: VerifiedReplica, known: string): string {
  const name = replicaId === null ? 'recoverable' : `replica ${replicaId}`;
  const ranges =
    recoverable === null || recoverable.length === 0
      ? 'nothing'
      : `transactions ${recoverable.map(rangeText).join(', ')}`;
  return `  ${name.padEnd(11)}  ${isEmpty ? 'nothing is stored yet' : `${ranges}, ${known}`}`;
}

function totals(result: VerifiedWithTime): { objects: number; bytes: number; objectsRead: number; bytesRead: number } {
  const parts = [...result.databases, ...(result.images ? [result.images] : [])];
  const sum = { objects: 0, bytes: 0, objectsRead: 0, bytesRead: 0 };
  for (const { objects, bytes, objectsRead, bytesRead } of parts) {
    sum.objects += objects;
    sum.bytes += bytes;
    sum.objectsRead += objectsRead;
    sum.bytesRead += bytesRead;
  }
  return sum;
}

/** How much the ranges are worth. */
function knownBy(deep: boolean, findings: readonly Finding[]): string {
  const isWhole = findings.every(({ kind }) => kind !== 'unchecked');
  const by = deep ? (isWhole ? 'every byte read' : 'not all of it checked') : 'by names';
  const isDamaged = findings.some(({ severity, kind }) => severity === 'damage' && kind !== 'unchecked');
  return isDamaged ? `${by}, without what is damaged` : by;
}

/** @param deep whether every byte was read. @returns lines for people, without a newline at the end */
export function formatVerified({ source, result }: VerifiedDestination, { deep }: { readonly deep: boolean }): string {
  if (result instanceof Error) return `${source}\n  could not be checked: ${result.message}`;
  const { findings, databases, durationMs } = result;
  const damage = findings.filter(({ severity }) => severity === 'damage').length;
  const { objects, bytes, objectsRead, bytesRead } = totals(result);
  const read =
    objectsRead === 0 ? 'names and documents' : `${counted(objectsRead, 'object')} read, ${humanBytes(bytesRead)}`;
  const shown = findings.slice(0, FINDINGS_SHOWN_MAX).map(findingText);
  const more = findings.length - shown.length;
  const notes = findings.length - damage;
  return [
    source,
    `  checked      ${counted(objects, 'object')}, ${humanBytes(bytes)}: ${read} in ${humanDuration(durationMs)}`,
    ...databases.map((database) => databaseText(database, knownBy(deep, findings))),
    ...shown,
    ...(more > 0 ? [`  … and ${counted(more, 'finding')} more: -json shows all`] : []),
    damage === 0
      ? `  no damage was found${notes === 0 ? '' : `; ${counted(notes, 'note')}`}`
      : `  ${counted(damage, 'finding')} of damage${notes === 0 ? '' : `, ${counted(notes, 'note')}`}`,
  ].join('\n');
}

/** One destination in the document of `-json`. */
export function verifiedDocument({ source, result }: VerifiedDestination): Record<string, unknown> {
  if (result instanceof Error) return { source, error: { message: result.message } };
  const { findings, databases, durationMs, kind } = result;
  return {
    source,
    kind,
    damaged: findings.some(({ severity }) => severity === 'damage'),
    durationMs: Math.round(durationMs),
    ...totals(result),
    images: result.images?.images ?? null,
    databases: databases.map(({ replicaId, generations, recoverable }) => ({
      replicaId: replicaId?.toString() ?? null,
      generations,
      recoverable:
        recoverable?.map(({ first, to, base, granularity }) => ({
          firstTx: first.toString(),
          lastTx: to.tx.toString(),
          lastTime: to.time === null || to.time === 0n ? null : isoTime(to.time),
          base,
          granularity,
        })) ?? null,
    })),
    findings,
  };
}
