/** What a writer of images tells of itself: plain data, gathered as it works. */
import type { Clock } from '../../core/clock.ts';
import { errorMessage, ReplicateError } from '../../core/errors.ts';
import type { ServerImageState, ServerImageStatus } from '../../core/status.ts';
import type { Micros } from '../../core/types.ts';
import type { StartedImages } from './image-start.ts';

export class ServerImageStatusKeeper {
  readonly #names: { readonly dataDirectory: string; readonly destination: string };
  readonly #clock: Clock;
  state: ServerImageState = 'waiting';
  storeAnswered = false;
  programsStored = 0;
  #imagesStored = 0;
  #lastImage: Micros | null = null;
  #generation: string | null = null;
  #leaseMode: ServerImageStatus['leaseMode'] = null;
  /** Monotonic ms. */
  #pendingSince: number | null = null;
  #lastSuccess: Micros | null = null;
  #lastError: ServerImageStatus['lastError'] = null;

  constructor(names: { readonly dataDirectory: string; readonly destination: string }, { clock }: { clock: Clock }) {
    this.#names = names;
    this.#clock = clock;
  }

  started({ lease, generation, newestTime }: StartedImages): void {
    this.#generation = generation.generation;
    this.#leaseMode = lease.mode;
    this.#lastImage = newestTime;
  }

  /** Something changed that is not stored yet. */
  pending(): void {
    this.state = 'copying';
    this.#pendingSince ??= this.#clock.monotonic();
  }

  imageStored(time: Micros): void {
    this.#imagesStored += 1;
    this.#lastImage = time;
  }

  /** The store holds all that should be stored. */
  upToDate(): void {
    this.state = 'watching';
    this.#pendingSince = null;
    this.#lastSuccess = this.#clock.now();
  }

  failed(error: unknown): void {
    const code = error instanceof ReplicateError ? error.code : 'UNEXPECTED';
    this.#lastError = { code, message: errorMessage(error), at: this.#clock.now() };
  }

  snapshot(): ServerImageStatus {
    const since = this.#pendingSince;
    return {
      ...this.#names,
      state: this.state,
      storeAnswered: this.storeAnswered,
      generation: this.#generation,
      leaseMode: this.#leaseMode,
      lastImage: this.#lastImage,
      imagesStored: this.#imagesStored,
      programsStored: this.programsStored,
      pendingSeconds: since === null ? 0 : (this.#clock.monotonic() - since) / 1000,
      lastSuccess: this.#lastSuccess,
      lastError: this.#lastError,
    };
  }
}
