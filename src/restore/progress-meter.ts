/** Counts what a restore has done and tells it to whoever listens. */
import type { RestorePlan } from './plan-types.ts';
import type { RestoreProgress } from './restore-report.ts';

export class ProgressMeter {
  /** Over all attempts. */
  fetchedBytes = 0;
  readonly #listener: ((progress: RestoreProgress) => void) | undefined;
  #now: RestoreProgress = { phase: 'plan', bytesDone: 0, bytesTotal: 0, objectsDone: 0, objectsTotal: 0 };

  constructor(listener: ((progress: RestoreProgress) => void) | undefined) {
    this.#listener = listener;
  }

  /** A plan is about to be followed, from its beginning. */
  begin({ workBytes, workObjects }: RestorePlan): void {
    this.#tell({ phase: 'fetch', bytesDone: 0, bytesTotal: workBytes, objectsDone: 0, objectsTotal: workObjects });
  }

  /** Many objects are looked through before there is a plan. */
  search(bytes: { readonly bytesDone: number; readonly bytesTotal: number }): void {
    this.#tell({ ...this.#now, phase: 'search', ...bytes });
  }

  enter(phase: RestoreProgress['phase']): void {
    this.#tell({ ...this.#now, phase });
  }

  add({ bytes = 0, objects = 0 }: { readonly bytes?: number; readonly objects?: number }): void {
    const { bytesDone, objectsDone } = this.#now;
    this.#tell({ ...this.#now, bytesDone: bytesDone + bytes, objectsDone: objectsDone + objects });
  }

  #tell(progress: RestoreProgress): void {
    this.#now = progress;
    this.#listener?.(progress);
  }
}
