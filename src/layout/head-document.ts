/** head.json: the lease, and the only object that is ever overwritten, by compare-and-swap. */
import { assert } from '../core/errors.ts';
import type { ProcessIdentity } from '../core/process-identity.ts';
import { formatCrc, type Micros, type Position, type TxOffset } from '../core/types.ts';
import type { DocumentFields } from './document-fields.ts';
import { readGenerationName } from './generation-document.ts';
import { decodeDocument, encodeDocument, FORMAT_VERSION } from './json-document.ts';
import { type GenerationName, HEAD_KEY } from './keys.ts';
import { formatTimestamp } from './time.ts';

/** A stored position with the source segment of its commit and the line's time there. */
export interface HeadPosition extends Position {
  readonly segment: TxOffset;
  readonly time: Micros;
}

export interface HeadDocument {
  readonly generation: GenerationName;
  /** Who may continue this backup. */
  readonly owner: string;
  /** Random, new for each holder: tells our own lost answer from another writer. */
  readonly session: string;
  readonly process: ProcessIdentity;
  readonly acquiredAt: Micros;
  readonly renewedAt: Micros;
  /** Written as `ttl`, in seconds. */
  readonly ttlMs: number;
  /** As of the last renewal; exact when released. Null while nothing is stored. */
  readonly position: HeadPosition | null;
  readonly released: boolean;
}

export function encodeHeadDocument(head: HeadDocument): Uint8Array {
  assert(Number.isInteger(head.ttlMs) && head.ttlMs > 0, `a lease of ${head.ttlMs} ms`);
  const { machineId, bootId, pidNamespace, pid, startTime, host } = head.process;
  return encodeDocument({
    format: FORMAT_VERSION,
    generation: head.generation,
    owner: head.owner,
    session: head.session,
    process: { machineId, bootId, pidNamespace, pid, startTime, host },
    acquiredAt: formatTimestamp(head.acquiredAt),
    renewedAt: formatTimestamp(head.renewedAt),
    ttl: head.ttlMs / 1000,
    position: head.position && {
      tx: head.position.tx.toString(),
      crc: formatCrc(head.position.crc),
      segment: head.position.segment.toString(),
      time: formatTimestamp(head.position.time),
    },
    released: head.released,
  });
}

function readProcess(fields: DocumentFields): ProcessIdentity {
  const textOrNull = (member: string): string | null => fields.nullable(member, (name) => fields.text(name));
  return {
    machineId: textOrNull('machineId'),
    bootId: textOrNull('bootId'),
    pidNamespace: textOrNull('pidNamespace'),
    pid: fields.count('pid'),
    startTime: textOrNull('startTime'),
    host: fields.text('host'),
  };
}

function readPosition(fields: DocumentFields): HeadPosition {
  const position = { tx: fields.tx('tx'), crc: fields.crc('crc'), segment: fields.tx('segment') };
  if (position.segment > position.tx) fields.fail('segment', 'begins after the position');
  return { ...position, time: fields.time('time') };
}

/** @throws CorruptionError, UnsupportedFormatError */
export function decodeHeadDocument(bytes: Uint8Array): HeadDocument {
  const fields = decodeDocument(bytes, { key: HEAD_KEY });
  const ttlMs = Math.round(fields.number('ttl') * 1000);
  if (ttlMs <= 0 || !Number.isSafeInteger(ttlMs)) fields.fail('ttl', 'is no length of time');
  return {
    generation: readGenerationName(fields, 'generation'),
    owner: fields.text('owner'),
    session: fields.text('session'),
    process: readProcess(fields.object('process')),
    acquiredAt: fields.time('acquiredAt'),
    renewedAt: fields.time('renewedAt'),
    ttlMs,
    position: fields.nullable('position', (member) => readPosition(fields.object(member))),
    released: fields.boolean('released'),
  };
}
