/**
 * How far one stored object and the local log agree, commit by commit. The object is read from its beginning and no
 * further than to where the two part; nothing of it is believed that its checksums do not prove.
 */
import { readLocalEnds } from '../capture/local-log.ts';
import type { LogSource } from '../capture/log-source.ts';
import { CorruptionError, errorMessage } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { byteOffset, type Micros, type Position } from '../core/types.ts';
import type { LogObject } from '../layout/keys.ts';
import { decodeLogObject } from '../layout/log-object.ts';
import { ObjectNotFoundError, type ReplicaClient } from '../replica/replica-client.ts';
import { CommitScanner } from '../spacetimedb/commit-scanner.ts';
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES } from '../spacetimedb/segment-header.ts';

/** Plain bytes of the object between two looks at the local log. */
const BATCH_BYTES = 4 * 1024 * 1024;

export interface CompareObjectOptions {
  readonly client: ReplicaClient;
  readonly source: LogSource;
  readonly log: Log;
  /** The line's time before the object. */
  readonly timeBefore: Micros;
  readonly signal?: AbortSignal | undefined;
}

type TimedEnd = Position & { readonly time: Micros };

/** The last commit of the object that the local log is proven to hold, with the line's time there; null: none. */
export async function lastCommonCommit(object: LogObject, options: CompareObjectOptions): Promise<TimedEnd | null> {
  const comparison = new Comparison(options);
  try {
    for await (const batch of commitsOf(object, options)) {
      if (!(await comparison.goesOn(batch))) break;
    }
  } catch (error) {
    if (!(error instanceof CorruptionError) && !(error instanceof ObjectNotFoundError)) throw error;
    options.log.warn(`${object.key} cannot be read to where it was compared: ${errorMessage(error)}`, {
      key: object.key,
    });
  }
  return comparison.agreed;
}

class Comparison {
  readonly #options: CompareObjectOptions;
  agreed: TimedEnd | null = null;

  constructor(options: CompareObjectOptions) {
    this.#options = options;
  }

  /** Whether all of `batch` that the local log should hold is there. */
  async goesOn(batch: readonly TimedEnd[]): Promise<boolean> {
    const { source, signal } = this.#options;
    const local = await readLocalEnds(
      source,
      batch.map(({ tx }) => tx),
      { signal },
    );
    for (const end of batch) {
      if (local.logStart !== null && end.tx < local.logStart) continue;
      if (local.ends.get(end.tx) !== end.crc) return false;
      this.agreed = end;
    }
    return true;
  }
}

/** The checked commits of an object, in batches. */
async function* commitsOf(
  object: LogObject,
  { client, timeBefore, signal }: CompareObjectOptions,
): AsyncGenerator<readonly TimedEnd[], void, void> {
  const { body } = await client.get(object.key, { signal });
  let batch: TimedEnd[] = [];
  let scanner: CommitScanner | null = null;
  let plainBytes = 0;
  for await (const plain of decodeLogObject(body, { key: object.key, size: object.size, signal })) {
    const isFirst: boolean = scanner === null;
    scanner ??= new CommitScanner({
      version: decodeSegmentHeader(plain.subarray(0, SEGMENT_HEADER_BYTES), { path: object.key }).version,
      expectedTx: object.first,
      at: byteOffset(SEGMENT_HEADER_BYTES),
      timeBefore,
      onCommit: ({ lastTx, crc }) => batch.push({ tx: lastTx, crc, time: (scanner as CommitScanner).time }),
    });
    scanner.push(isFirst ? plain.subarray(SEGMENT_HEADER_BYTES) : plain);
    plainBytes += plain.byteLength;
    if (plainBytes >= BATCH_BYTES || scanner.problem !== null) {
      yield batch;
      batch = [];
      plainBytes = 0;
    }
    if (scanner.problem !== null) {
      throw new CorruptionError(`${object.key} has a bad commit after transaction ${scanner.nextTx - 1n}`, {
        facts: { key: object.key, tx: scanner.nextTx },
      });
    }
  }
  yield batch;
}
