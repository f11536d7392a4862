/** Uploads snapshots beside the log, one pass at a time; a failure of it ends the episode. */
import type { SnapshotUploader } from './snapshot-uploader.ts';

export class SnapshotTask {
  readonly #snapshots: SnapshotUploader;
  readonly #failed = new AbortController();
  readonly #ended = new AbortController();
  readonly #onFailure: () => void;
  /** Aborted when the replicator is, and when a pass has failed. */
  readonly signal: AbortSignal;
  #pass: Promise<void> | null = null;

  constructor(snapshots: SnapshotUploader, { signal, onFailure }: { signal: AbortSignal; onFailure: () => void }) {
    this.#snapshots = snapshots;
    this.#onFailure = onFailure;
    this.signal = AbortSignal.any([signal, this.#failed.signal]);
  }

  begin(): void {
    this.#pass ??= this.#run().finally(() => {
      this.#pass = null;
    });
  }

  async #run(): Promise<void> {
    try {
      await this.#snapshots.upload({ signal: AbortSignal.any([this.signal, this.#ended.signal]) });
    } catch (error) {
      if (this.#ended.signal.aborted) return;
      this.#failed.abort(error);
      this.#onFailure();
    }
  }

  async settled(): Promise<void> {
    await this.#pass;
    this.signal.throwIfAborted();
  }

  async end(): Promise<void> {
    this.#ended.abort();
    await this.#pass;
  }
}
