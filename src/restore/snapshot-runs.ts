/** Which ranges of the packs to ask for, so that a snapshot costs few requests and bounded memory. Pure. */
import { CorruptionError } from '../core/errors.ts';
import { packKey } from '../layout/keys.ts';
import type { PackedObject, PackLine } from '../layout/manifest.ts';
import type { ObjectKind } from '../spacetimedb/snapshot-file.ts';
import type { Part } from './fetch-parts.ts';

/** Bytes between two objects that are fetched and thrown away rather than paid for with one more request. */
export const GAP_BYTES_MAX = 128 * 1024;
/** Objects up to this size are unpacked a few at once in memory that each run sets aside; pages have 64 KiB. */
export const SMALL_PLAIN_BYTES = 128 * 1024;
/** Objects of one run that are unpacked at once. */
export const UNPACK_PARALLELISM = 4;

export interface WantedObject extends PackedObject {
  readonly kind: ObjectKind;
}

/** A contiguous range of one pack. */
export interface SnapshotRun extends Part {
  readonly objects: readonly WantedObject[];
}

export interface PlanRunsOptions {
  /** The most bytes of one range, and of the large objects in it; a single object may be longer. */
  readonly partBytes: number;
  /** What the snapshot file names; each object is taken out when it has its run. */
  readonly wanted: Map<string, ObjectKind>;
  readonly manifestKey: string;
  /** Asked once for each object: one that is there already is in no run. Default: none is. */
  readonly isPresent?: (object: PackedObject) => boolean;
}

/**
 * @throws CorruptionError when the manifest names an object twice, one that the snapshot file does not name, or places
 * that overlap
 */
export async function* planRuns(
  lines: AsyncIterable<PackLine>,
  options: PlanRunsOptions,
): AsyncGenerator<SnapshotRun, void, void> {
  for await (const line of lines) yield* runsOfLine(line, options);
}

function* runsOfLine(line: PackLine, options: PlanRunsOptions): Generator<SnapshotRun, void, void> {
  const objects = line.objects
    .map((object) => claim(object, options))
    .filter((object) => options.isPresent?.(object) !== true)
    .sort((a, b) => a.offset - b.offset);
  let run: WantedObject[] = [];
  let largePlainBytes = 0;
  let end = 0;
  for (const object of objects) {
    const large = object.plainLength > SMALL_PLAIN_BYTES ? object.plainLength : 0;
    const [first] = run;
    const last = run.at(-1);
    if (object.offset < end) throw overlap(line, options);
    end = object.offset + object.length;
    const fits =
      first === undefined ||
      last === undefined ||
      (object.offset - (last.offset + last.length) <= GAP_BYTES_MAX &&
        object.offset + object.length - first.offset <= options.partBytes &&
        largePlainBytes + large <= options.partBytes);
    if (!fits) {
      yield toRun(line, run, largePlainBytes);
      run = [];
      largePlainBytes = 0;
    }
    run.push(object);
    largePlainBytes += large;
  }
  if (run.length > 0) yield toRun(line, run, largePlainBytes);
}

function claim(object: PackedObject, { wanted, manifestKey }: PlanRunsOptions): WantedObject {
  const kind = wanted.get(object.hash);
  wanted.delete(object.hash);
  if (kind !== undefined) return { ...object, kind };
  throw new CorruptionError(
    `the manifest ${manifestKey} names the object ${object.hash} twice, or the snapshot file does not name it`,
    { facts: { key: manifestKey, hash: object.hash } },
  );
}

/** Frames lie back to back: places that overlap would let a range be longer than what is in it. */
const overlap = ({ pack }: PackLine, { manifestKey }: PlanRunsOptions): CorruptionError =>
  new CorruptionError(`the manifest ${manifestKey} names places of pack ${pack} that overlap`, {
    facts: { key: manifestKey, pack },
  });

function toRun({ pack, bytes }: PackLine, objects: readonly WantedObject[], largePlainBytes: number): SnapshotRun {
  const start = objects[0]?.offset ?? 0;
  const last = objects.at(-1);
  const endExclusive = last ? last.offset + last.length : start;
  const extraBytes = largePlainBytes + UNPACK_PARALLELISM * SMALL_PLAIN_BYTES;
  return { key: packKey(pack), objectBytes: bytes, start, endExclusive, extraBytes, objects };
}
