/**
 * Turn after turn: looks whether something changed, makes an attempt at an image where that is due, and judges what came
 * of it: whether to try again and when, and what the operator must be told.
 */
import { Backoff } from '../../core/backoff.ts';
import type { Clock } from '../../core/clock.ts';
import { errorMessage, LocalFileError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { ImageOutcome, ImagePass } from './image-pass.ts';
import type { ServerImageStatusKeeper } from './server-image-status.ts';
import type { Survey } from './survey.ts';

/** How often the files are read although nothing was seen to change: some file systems' clocks tick in seconds. */
const REREAD_MS = 300_000;
/** Tries in a row that found something moving, before that is worth a warning. */
const MOVING_TRIES = 20;
/** A program that is being written has so many tries before the image goes without it. */
const PROGRAM_TRIES = 4;
/** The longest wait before something that is wrong with the files is looked at again. */
const PROBLEM_MS = 300_000;

export interface ImageTurnsOptions {
  readonly dataDirectory: string;
  readonly pass: ImagePass;
  readonly status: ServerImageStatusKeeper;
  readonly clock: Clock;
  readonly log: Log;
  /** The longest wait between two tries while something moves. */
  readonly retryMsMax: number;
}

export interface TurnResult {
  /** Whether the store holds what could be stored of the files. */
  readonly settled: boolean;
  /** When to try again at the latest; null: no sooner than one would look anyway. */
  readonly waitMs: number | null;
}

const NOTHING_DUE: TurnResult = { settled: true, waitMs: null };

export class ImageTurns {
  readonly #options: ImageTurnsOptions;
  readonly #moving: Backoff;
  readonly #problem = new Backoff({ firstMs: 1_000, maxMs: PROBLEM_MS });
  /** What the files looked like when they were last stored. */
  #seen: string | null = null;
  #readAt = Number.NEGATIVE_INFINITY;
  #heldBack = 0;
  /** Monotonic ms; a try is due from then on although nothing changed. */
  #retryAt: number | null = null;
  /** Warnings are given once, as long as they hold. */
  #told: ReadonlySet<string> = new Set();
  #failure: Error | null = null;

  constructor(options: ImageTurnsOptions) {
    this.#options = options;
    this.#moving = new Backoff({ firstMs: 100, maxMs: options.retryMsMax });
  }

  /** Why the last turn did not store all that should be there; null where it did. */
  get failure(): Error | null {
    return this.#failure;
  }

  /** @throws LocalFileError, FencedError; store errors */
  async turn({ signal }: { readonly signal: AbortSignal }): Promise<TurnResult> {
    const { pass, clock, status } = this.#options;
    const { print, survey } = await pass.print();
    const isChanged = print !== this.#seen;
    if (isChanged) status.pending();
    if (!isChanged && !this.#isDue(clock.monotonic())) return NOTHING_DUE;
    const outcome = await pass.attempt({ tolerant: this.#heldBack >= PROGRAM_TRIES, signal });
    if (outcome.kind === 'done') {
      this.#seen = print;
      this.#readAt = clock.monotonic();
    }
    const result = this.#judge(outcome, survey);
    this.#retryAt = result.waitMs === null ? null : clock.monotonic() + result.waitMs;
    return result;
  }

  /** A failure of the machine that may pass. @returns ms to wait */
  afterLocalFailure(error: LocalFileError): number {
    this.#failure = error;
    this.#tell([errorMessage(error)]);
    this.#options.status.failed(error);
    const waitMs = this.#problem.nextDelayMs();
    this.#retryAt = this.#options.clock.monotonic() + waitMs;
    return waitMs;
  }

  #isDue(now: number): boolean {
    return (this.#retryAt !== null && now >= this.#retryAt) || now - this.#readAt >= REREAD_MS;
  }

  #judge(outcome: ImageOutcome, survey: Survey | null): TurnResult {
    switch (outcome.kind) {
      case 'absent':
        return this.#absent();
      case 'moving':
        return this.#movingOn();
      case 'held-back':
        this.#heldBack += 1;
        this.#failure = outcome.problems[0] ?? null;
        return { settled: false, waitMs: this.#moving.nextDelayMs() };
      case 'done':
        return this.#done(outcome, survey);
    }
  }

  #absent(): TurnResult {
    const { dataDirectory, status } = this.#options;
    this.#failure = new LocalFileError(`there is no control-db in ${dataDirectory} any more: its images end here`, {
      hint: 'What is stored is kept. Check that the disk is mounted and that its server runs.',
      facts: { dataDirectory },
    });
    this.#tell([this.#failure.message]);
    status.failed(this.#failure);
    return { settled: true, waitMs: this.#moving.nextDelayMs() };
  }

  #movingOn(): TurnResult {
    const { dataDirectory, status } = this.#options;
    const waitMs = this.#moving.nextDelayMs();
    this.#failure = new LocalFileError(
      `the files of ${dataDirectory} changed each of ${this.#moving.failures} times while they were read`,
      { hint: 'The image before stays the newest one. It is tried again.', facts: { dataDirectory } },
    );
    if (this.#moving.failures === MOVING_TRIES) {
      this.#options.log.warn(this.#failure.message);
      status.failed(this.#failure);
    }
    return { settled: false, waitMs };
  }

  #done(outcome: Extract<ImageOutcome, { kind: 'done' }>, survey: Survey | null): TurnResult {
    const { log, status } = this.#options;
    const { image, files, bytes, problems } = outcome;
    this.#moving.reset();
    if (image !== null) {
      status.imageStored(image.time);
      log.info('image of the server stored', { image: image.name, files, bytes });
    }
    this.#failure = problems[0] ?? null;
    this.#tell([
      ...problems.map((problem) => problem.message),
      ...(survey?.missing ?? []),
      ...(survey?.foreign ?? []).map((path) => `${path}: no server gives such a name; it is in no image`),
    ]);
    if (problems[0] !== undefined) {
      status.failed(problems[0]);
      return { settled: true, waitMs: this.#problem.nextDelayMs() };
    }
    this.#heldBack = 0;
    this.#problem.reset();
    status.upToDate();
    return NOTHING_DUE;
  }

  #tell(warnings: readonly string[]): void {
    for (const warning of warnings) if (!this.#told.has(warning)) this.#options.log.warn(warning);
    this.#told = new Set(warnings);
  }
}
