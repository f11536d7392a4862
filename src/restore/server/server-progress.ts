/** The progress of several databases and an image as one: what is done before, and what the current one tells. */
import { ProgressMeter } from '../progress-meter.ts';
import type { RestoreProgress } from '../restore-report.ts';

interface Amount {
  readonly bytes: number;
  readonly objects: number;
}

export class ServerProgress {
  readonly #listener: ((progress: RestoreProgress) => void) | undefined;
  readonly #meters: ProgressMeter[] = [];
  #done: Amount = { bytes: 0, objects: 0 };
  #total: Amount = { bytes: 0, objects: 0 };

  constructor(listener: ((progress: RestoreProgress) => void) | undefined) {
    this.#listener = listener;
  }

  /** Over all meters and attempts. */
  get fetchedBytes(): number {
    return this.#meters.reduce((sum, { fetchedBytes }) => sum + fetchedBytes, 0);
  }

  /** What is about to be done, from its beginning. */
  begin(total: Amount): void {
    this.#done = { bytes: 0, objects: 0 };
    this.#total = total;
    this.enter('fetch');
  }

  enter(phase: RestoreProgress['phase']): void {
    this.#tell(phase, { bytes: 0, objects: 0 });
  }

  /** The part that was told of last is done. */
  finish({ bytes, objects }: Amount): void {
    this.#done = { bytes: this.#done.bytes + bytes, objects: this.#done.objects + objects };
  }

  /** A meter for one part, one at a time; `database` for people. */
  meter(database?: string): ProgressMeter {
    const meter = new ProgressMeter(({ bytesDone: bytes, objectsDone: objects }) => {
      this.#tell('fetch', { bytes, objects }, database);
    });
    this.#meters.push(meter);
    return meter;
  }

  #tell(phase: RestoreProgress['phase'], now: Amount, database?: string): void {
    this.#listener?.({
      phase,
      bytesDone: this.#done.bytes + now.bytes,
      bytesTotal: this.#total.bytes,
      objectsDone: this.#done.objects + now.objects,
      objectsTotal: this.#total.objects,
      ...(database === undefined ? {} : { database }),
    });
  }
}
