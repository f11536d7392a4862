/**
 * What a standby remembers beside its log: a position that is durable on its disk. Written only after the log's fsync, so
 * that a log which ends earlier was damaged by something else; and the sign that the directory is a standby's own.
 */
import { randomBytes } from 'node:crypto';
import { readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fsyncDirectory, TEMPORARY_PREFIX } from '../../core/atomic-file.ts';
import { localFileError, ReplicateError, systemCode } from '../../core/errors.ts';
import type { TimedPosition } from '../../core/status.ts';
import { formatCrc, type TxOffset } from '../../core/types.ts';
import { readGenerationName } from '../../layout/generation-document.ts';
import { decodeDocument, encodeDocument, FORMAT_VERSION } from '../../layout/json-document.ts';
import type { GenerationName } from '../../layout/keys.ts';
import { formatTimestamp } from '../../layout/time.ts';
import type { TargetSystem } from '../target-system.ts';

/** In the replica directory. Servers do not know it, and leave it alone. */
export const STANDBY_FILE = '.stdb-standby.json';

export interface StandbyPosition extends TimedPosition {
  /** Whose object the commit came from; null where that is not known. */
  readonly generation: GenerationName | null;
  /** The source segment that holds the commit: what follows in the same one goes on in the same file. Null: not known. */
  readonly segment: TxOffset | null;
  /** A newer snapshot is being put in, and this segment after it; what is older goes then. Absent: no. */
  readonly bridge?: { readonly snapshot: TxOffset; readonly segment: TxOffset } | undefined;
}

export interface StandbyFileOptions {
  readonly directory: string;
  readonly system: TargetSystem;
}

/** Null where there is none. @throws LocalFileError, and CorruptionError where it is not what was written */
export async function readStandbyPosition(directory: string): Promise<StandbyPosition | null> {
  const path = join(directory, STANDBY_FILE);
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return null;
    throw localFileError('read', path, error);
  }
  const fields = decodeDocument(bytes, { key: path });
  const bridge = fields.nullable('bridge', (member) => fields.object(member));
  return {
    tx: fields.tx('tx'),
    crc: fields.crc('crcOfCommit'),
    time: fields.time('time'),
    generation: fields.nullable('generation', (member) => readGenerationName(fields, member)),
    segment: fields.nullable('segment', (member) => fields.tx(member)),
    ...(bridge === null ? {} : { bridge: { snapshot: bridge.tx('snapshot'), segment: bridge.tx('segment') } }),
  };
}

/** Appears whole, and durably. @throws LocalFileError */
export async function writeStandbyPosition(
  position: StandbyPosition,
  { directory, system }: StandbyFileOptions,
): Promise<void> {
  const path = join(directory, STANDBY_FILE);
  const temporary = join(directory, `${TEMPORARY_PREFIX}${randomBytes(6).toString('hex')}`);
  const bytes = encodeDocument({
    format: FORMAT_VERSION,
    kind: 'standby',
    tx: position.tx.toString(),
    crcOfCommit: formatCrc(position.crc),
    time: formatTimestamp(position.time),
    generation: position.generation,
    segment: position.segment?.toString() ?? null,
    bridge: position.bridge
      ? { snapshot: position.bridge.snapshot.toString(), segment: position.bridge.segment.toString() }
      : null,
  });
  try {
    {
      await using file = await system.createFile(temporary);
      await file.writeFile(bytes);
      await file.sync();
    }
    await rename(temporary, path);
    await fsyncDirectory(directory);
  } catch (error) {
    await rm(temporary, { force: true });
    if (error instanceof ReplicateError) throw error;
    throw localFileError('write', path, error);
  }
}
