/** One cheap question: what came behind the standby's position since. One page of a listing, whatever the store holds. */
import { GENERATIONS_PREFIX, type GenerationName, type LogObject, logKeysAfter, parseKey } from '../../layout/keys.ts';
import type { Position, TxOffset } from '../../core/types.ts';
import type { ReplicaClient } from '../../replica/replica-client.ts';

/** As many as every store gives in one answer. */
const PAGE_KEYS = 1000;

export interface PollOptions {
  /** The line's last one. */
  readonly generation: GenerationName;
  readonly position: Position;
  /** No object of this generation behind the position is of an earlier segment. */
  readonly segment: TxOffset;
  readonly signal: AbortSignal;
}

export interface PolledGeneration {
  /** Of all levels, with commits behind the position. */
  readonly objects: readonly LogObject[];
  /** A generation with a greater name is there: the head may name another line. */
  readonly isNewer: boolean;
  /** There was more than one page: newer generations were not looked for. */
  readonly isCut: boolean;
}

/**
 * A listing rather than a look at head.json: that tells of new commits only when the writer renews its lease. Keys of
 * new objects, of longer ones and of new generations all sort behind the position's.
 *
 * @throws what the client throws
 */
export async function pollGeneration(client: ReplicaClient, options: PollOptions): Promise<PolledGeneration> {
  const { generation, position, segment, signal } = options;
  const startAfter = logKeysAfter(generation, { level: 0, segment, tx: position.tx });
  const objects: LogObject[] = [];
  let keys = 0;
  for await (const { key, size } of client.list(GENERATIONS_PREFIX, { startAfter, signal })) {
    const parsed = parseKey(key);
    if (parsed?.kind === 'log' && parsed.name.generation === generation) {
      if (parsed.name.last > position.tx) objects.push({ ...parsed.name, key, size });
    } else if (!key.startsWith(`${GENERATIONS_PREFIX}${generation}/`)) {
      return { objects, isNewer: true, isCut: false };
    }
    keys += 1;
    if (keys === PAGE_KEYS) return { objects, isNewer: false, isCut: true };
  }
  return { objects, isNewer: false, isCut: false };
}
