/** generation.json: why a generation began, and where it branched from. Created once, never changed. */
import { assert, UnsupportedFormatError } from '../core/errors.ts';
import { formatCrc, type Micros, type Position } from '../core/types.ts';
import type { DocumentFields } from './document-fields.ts';
import { decodeDocument, encodeDocument, FORMAT_VERSION } from './json-document.ts';
import { type GenerationName, generationKey, isHash, parseGenerationName } from './keys.ts';
import { formatTimestamp } from './time.ts';

export const GENERATION_REASONS = ['first', 'takeover', 'rolled-back', 'gap', 'damaged', 'replaced'] as const;
export type GenerationReason = (typeof GENERATION_REASONS)[number];

/** The last commit that a generation has in common with the one it branched from. */
export interface ParentPoint {
  readonly generation: GenerationName;
  readonly position: Position;
}

export interface GenerationDocument {
  readonly generation: GenerationName;
  /** 64 hex digits, as SpacetimeDB prints it; null while no snapshot has told it. */
  readonly databaseIdentity: string | null;
  /** Null where the directory's name is no number and no snapshot has told it. */
  readonly replicaId: bigint | null;
  readonly createdAt: Micros;
  readonly reason: GenerationReason;
  readonly parent: ParentPoint | null;
  readonly writer: { readonly owner: string; readonly host: string; readonly version: string };
}

const numberOf = (name: GenerationName): number => parseGenerationName(name)?.number ?? 0;

export function encodeGenerationDocument(document: GenerationDocument): Uint8Array {
  const { generation, databaseIdentity, replicaId, createdAt, reason, parent, writer } = document;
  assert(parent === null || numberOf(parent.generation) < numberOf(generation), 'a parent must have a smaller number');
  assert(databaseIdentity === null || isHash(databaseIdentity), 'a database identity has 64 hex digits');
  return encodeDocument({
    format: FORMAT_VERSION,
    generation,
    databaseIdentity,
    replicaId: replicaId === null ? null : replicaId.toString(),
    createdAt: formatTimestamp(createdAt),
    reason,
    parent: parent && {
      generation: parent.generation,
      tx: parent.position.tx.toString(),
      crc: formatCrc(parent.position.crc),
    },
    writer: { owner: writer.owner, host: writer.host, version: writer.version },
    encryption: null,
  });
}

/** A member that names a generation. */
export function readGenerationName(fields: DocumentFields, member: string): GenerationName {
  return parseGenerationName(fields.text(member))?.name ?? fields.fail(member, 'is no name of a generation');
}

/** A member that holds 64 hex digits. */
export function readHash(fields: DocumentFields, member: string): string {
  const hash = fields.text(member);
  return isHash(hash) ? hash : fields.fail(member, 'is not 64 hex digits');
}

function readParent(fields: DocumentFields, child: GenerationName): ParentPoint {
  const generation = readGenerationName(fields, 'generation');
  if (numberOf(generation) >= numberOf(child)) fields.fail('generation', `has no smaller number than ${child}`);
  return { generation, position: { tx: fields.tx('tx'), crc: fields.crc('crc') } };
}

/** @throws CorruptionError, also when `key` is another generation's; UnsupportedFormatError */
export function decodeGenerationDocument(bytes: Uint8Array, { key }: { readonly key: string }): GenerationDocument {
  const fields = decodeDocument(bytes, { key });
  const generation = readGenerationName(fields, 'generation');
  if (generationKey(generation) !== key) fields.fail('generation', `is ${generation}, which belongs elsewhere`);
  if (!fields.isNull('encryption')) {
    throw new UnsupportedFormatError(`generation ${generation} is encrypted, which this release does not know`, {
      facts: { key },
      hint: 'Use the release of stdb-replicate that wrote this backup, or a newer one.',
    });
  }
  const writer = fields.object('writer');
  return {
    generation,
    databaseIdentity: fields.nullable('databaseIdentity', (member) => readHash(fields, member)),
    replicaId: fields.nullable('replicaId', (member) => fields.u64(member)),
    createdAt: fields.time('createdAt'),
    reason: fields.oneOf('reason', GENERATION_REASONS),
    parent: fields.nullable('parent', (member) => readParent(fields.object(member), generation)),
    writer: { owner: writer.text('owner'), host: writer.text('host'), version: writer.text('version') },
  };
}
