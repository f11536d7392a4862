/** Cuts the next log object from what the tailer finds: at most so many plain bytes, of one segment, whole commits. */
import type { CommitRun } from '../capture/commit-run.ts';
import { LogDamagedError } from '../capture/log-damage.ts';
import type { LogTailer } from '../capture/log-tailer.ts';
import { assert, LocalFileError } from '../core/errors.ts';
import type { HeadPosition } from '../layout/head-document.ts';
import type { GenerationName } from '../layout/keys.ts';
import { logObjectKey } from '../layout/keys.ts';
import { encodeLogObject } from '../layout/log-object.ts';
import type { PutBody } from '../replica/replica-client.ts';

export interface CutObject {
  readonly key: string;
  readonly body: PutBody;
  /** Where the object ends. */
  readonly end: HeadPosition;
  readonly commits: number;
  readonly plainBytes: number;
  /** Compressed size; null for a body that is produced while it is sent. */
  readonly bytes: number | null;
  /** Whether the body reads the source: then it must be sent before the tailer goes on. */
  readonly readsSource: boolean;
  /** Whether it ended because the next commit is too long for it, not because it was full or nothing more was there. */
  readonly cutShort: boolean;
}

export interface CutterOptions {
  readonly tailer: LogTailer;
  readonly generation: GenerationName;
  /** Of zstd. */
  readonly compressionLevel: number;
}

export class LogObjectCutter {
  readonly #tailer: LogTailer;
  readonly #generation: GenerationName;
  readonly #compressionLevel: number;
  /** A commit longer than memory that ended the object before it. */
  #held: CommitRun | null = null;
  /** Why the log cannot be read on behind what the object before holds. */
  #failure: { readonly error: unknown } | null = null;

  constructor({ tailer, generation, compressionLevel }: CutterOptions) {
    this.#tailer = tailer;
    this.#generation = generation;
    this.#compressionLevel = compressionLevel;
  }

  /** Whether the next object is a commit that is read while it is sent: until then the tailer must be left alone. */
  get holdsLongCommit(): boolean {
    return this.#held !== null;
  }

  /** Null at the end of the log. @throws what the tailer throws */
  async next({
    plainBytesMax,
    signal,
  }: {
    plainBytesMax: number;
    signal?: AbortSignal | undefined;
  }): Promise<CutObject | null> {
    if (this.#failure !== null) {
      const { error } = this.#failure;
      this.#failure = null;
      throw error;
    }
    if (this.#held !== null) {
      const run = this.#held;
      this.#held = null;
      return this.#longObject(run);
    }
    const seen: Seen = { first: null, last: null, commits: 0, plainBytes: 0 };
    const frames = this.#frames(seen, { plainBytesMax, signal });
    const beginning = await frames.next();
    if (beginning.done) return this.#held === null ? null : this.next({ plainBytesMax, signal });
    const parts: Uint8Array[] = [];
    const pieces = encodeLogObject(startingWith(beginning.value, frames), { level: this.#compressionLevel, signal });
    for await (const piece of pieces) parts.push(piece);
    assert(seen.first !== null && seen.last !== null, 'a log object without a commit');
    const bytes = parts.reduce((sum, part) => sum + part.byteLength, 0);
    const cutShort = this.#held !== null || this.#failure !== null;
    return {
      ...this.#describe(seen.first, seen.last),
      body: parts,
      bytes,
      ...countsOf(seen),
      readsSource: false,
      cutShort,
    };
  }

  async *#frames(
    seen: Seen,
    limits: { plainBytesMax: number; signal: AbortSignal | undefined },
  ): AsyncGenerator<Uint8Array, void, void> {
    for await (const run of this.#runs(seen, limits)) {
      if (!run.inMemory) {
        this.#held = run;
        return;
      }
      yield* framesOf(run, { withHeader: seen.first === null });
      seen.first ??= run;
      seen.last = run;
      seen.commits += run.commits;
      seen.plainBytes += run.end - run.start;
    }
  }

  /** What was read before a place that cannot be read is whole and proven: it goes out before the failure is told. */
  async *#runs(
    seen: Seen,
    limits: { plainBytesMax: number; signal: AbortSignal | undefined },
  ): AsyncGenerator<CommitRun, void, void> {
    try {
      yield* this.#tailer.runs(limits);
    } catch (error) {
      const isOfFile = error instanceof LocalFileError || error instanceof LogDamagedError;
      if (seen.last === null || !isOfFile) throw error;
      this.#failure = { error };
    }
  }

  #longObject(run: CommitRun): CutObject {
    const body: PutBody = {
      open: () => encodeLogObject(framesOf(run, { withHeader: true }), { level: this.#compressionLevel }),
    };
    const counts = { commits: run.commits, plainBytes: run.end - run.start };
    return { ...this.#describe(run, run), body, bytes: null, ...counts, readsSource: true, cutShort: true };
  }

  #describe(first: CommitRun, last: CommitRun): { key: string; end: HeadPosition } {
    assert(first.segment === last.segment, 'a log object spans two segments');
    const end = { tx: last.last, crc: last.crc, segment: last.segment, time: last.time };
    const key = logObjectKey({
      generation: this.#generation,
      level: 0,
      segment: first.segment,
      first: first.first,
      last: last.last,
      time: last.time,
      prev: first.prev,
      crc: last.crc,
    });
    return { key, end };
  }
}

interface Seen {
  first: CommitRun | null;
  last: CommitRun | null;
  commits: number;
  plainBytes: number;
}

const countsOf = ({ commits, plainBytes }: Seen): { commits: number; plainBytes: number } => ({ commits, plainBytes });

async function* startingWith<T>(first: T, rest: AsyncIterable<T>): AsyncGenerator<T, void, void> {
  yield first;
  yield* rest;
}

/** A run as plain frames; the first frame of an object begins with the segment's header. */
async function* framesOf(
  run: CommitRun,
  { withHeader }: { withHeader: boolean },
): AsyncGenerator<Uint8Array, void, void> {
  let header = withHeader ? run.header : null;
  for await (const part of run.parts()) {
    yield header === null ? part : Buffer.concat([header, part]);
    header = null;
  }
}
