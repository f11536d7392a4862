/**
 * One attempt at an image, in the order that makes it whole: programs, then the copy, then another look at the programs
 * (the control-db of the copy may name what came meanwhile), then the databases, then the image.
 */
import { join } from 'node:path';
import type { ByteBudget } from '../../core/byte-budget.ts';
import type { Clock } from '../../core/clock.ts';
import type { ReadableFiles } from '../../core/readable-files.ts';
import { CONTROL_DB } from '../../layout/image-path.ts';
import type { ImageReplica } from '../../layout/image-manifest.ts';
import type { ImageNameParts } from '../../layout/server-keys.ts';
import type { HeadLease } from '../head-lease.ts';
import type { ImageUploader } from './image-uploader.ts';
import type { BadProgram, ProgramUploader } from './program-uploader.ts';
import { listPrograms, listReplicaIds } from './server-directory.ts';
import { copyStable, type StableCopy } from './stable-copy.ts';
import { type ExtraFile, survey, type Survey, surveyBytes, surveyPrint } from './survey.ts';

export interface ImagePassOptions {
  readonly files: ReadableFiles;
  readonly dataDirectory: string;
  readonly extraFiles: readonly ExtraFile[];
  readonly clock: Clock;
  readonly budget: ByteBudget;
  readonly programs: ProgramUploader;
  readonly images: ImageUploader;
  readonly lease: HeadLease;
  /** How far each database is stored now. One that is not named has nothing stored. */
  readonly replicas: () => readonly ImageReplica[];
}

export type ImageOutcome =
  /** There is no control-db any more. */
  | { readonly kind: 'absent' }
  /** Something changed while it was read, or came to be: try again soon. */
  | { readonly kind: 'moving' }
  /** A program is not what its name says, which may be because it is being written. */
  | { readonly kind: 'held-back'; readonly problems: readonly Error[] }
  | {
      readonly kind: 'done';
      /** Null where the newest one equals it. */
      readonly image: ImageNameParts | null;
      readonly files: number;
      readonly bytes: number;
      /** What the image lacks. */
      readonly problems: readonly Error[];
    };

export interface AttemptOptions {
  /** Store the image without programs that are bad. */
  readonly tolerant: boolean;
  readonly signal: AbortSignal;
}

export class ImagePass {
  readonly #options: ImagePassOptions;

  constructor(options: ImagePassOptions) {
    this.#options = options;
  }

  look(): Promise<Survey | null> {
    return survey(this.#options);
  }

  /** Equal texts: nothing was seen to change that an image is of. @throws LocalFileError */
  async print(): Promise<{ readonly print: string; readonly survey: Survey | null }> {
    const { files, dataDirectory } = this.#options;
    const found = await this.look();
    const programs = await listPrograms(files, dataDirectory);
    const replicas = await listReplicaIds(files, dataDirectory);
    const print = [found === null ? join(dataDirectory, CONTROL_DB) : surveyPrint(found), ...programs, ...replicas];
    return { print: print.join('\n'), survey: found };
  }

  /** @throws LocalFileError, FencedError; store errors */
  async attempt(options: AttemptOptions): Promise<ImageOutcome> {
    const { files, dataDirectory, programs, lease, budget, clock } = this.#options;
    const { tolerant, signal } = options;
    const bad = await programs.upload(await listPrograms(files, dataDirectory), { lease, signal });
    if (bad.length > 0 && !tolerant) return { kind: 'held-back', problems: bad.map(({ error }) => error) };
    // No other share is asked for while this one is held: two that wait for each other would wait for ever.
    const expected = await this.look();
    if (expected === null) return { kind: 'absent' };
    using share = await budget.take(2 * surveyBytes(expected) + 64 * 1024, { signal });
    const before = await this.look();
    if (before === null) return { kind: 'absent' };
    if (2 * surveyBytes(before) > share.bytes && share.bytes < budget.bytesMax) return { kind: 'moving' };
    const atCopy = await listReplicaIds(files, dataDirectory);
    const copy = await copyStable(before, { files, clock, look: () => this.look(), signal });
    // Awaited here: the share is held until all is stored.
    return copy === null ? { kind: 'moving' } : await this.#store(copy, { atCopy, bad, signal });
  }

  async #store(
    copy: StableCopy,
    {
      atCopy,
      bad,
      signal,
    }: { readonly atCopy: readonly bigint[]; readonly bad: readonly BadProgram[]; readonly signal: AbortSignal },
  ): Promise<ImageOutcome> {
    const { files, dataDirectory, programs, images } = this.#options;
    const present = await listPrograms(files, dataDirectory);
    const isBad = new Set(bad.map(({ hash }) => hash));
    if (present.some((hash) => !programs.has(hash) && !isBad.has(hash))) return { kind: 'moving' };
    const replicas = await this.#replicas(atCopy);
    const stored = present.filter((hash) => programs.has(hash));
    const image = await images.upload({ copy, programs: stored, replicas }, { signal });
    return {
      kind: 'done',
      image,
      files: copy.files.length,
      bytes: copy.files.reduce((sum, { plain }) => sum + plain.byteLength, 0),
      problems: [...bad.map(({ error }) => error), ...copy.unreadable],
    };
  }

  /** Those that were there before the copy or are now: one deleted in between is still in the control database's copy. */
  async #replicas(atCopy: readonly bigint[]): Promise<readonly ImageReplica[]> {
    const { files, dataDirectory, replicas } = this.#options;
    const known = new Map(replicas().map(({ replicaId, position }) => [replicaId, position]));
    const ids = new Set([...atCopy, ...(await listReplicaIds(files, dataDirectory))]);
    return [...ids]
      .sort((a, b) => (a < b ? -1 : 1))
      .map((replicaId) => ({ replicaId, position: known.get(replicaId) ?? null }));
  }
}
