/**
 * How much plain log one object may hold: as much as gets through in reasonable time. Over a fast line that is the most
 * that is allowed, so that a backlog costs few requests; over a slow one each object must be through before the store,
 * or something on the way, gives it up, and what is stored must come forward in steps that are worth something.
 *
 * Only the attempt that succeeded counts: an outage before it says nothing about the line.
 */

export const OBJECT_PLAIN_BYTES_MAX = 32 * 1024 * 1024;
export const OBJECT_PLAIN_BYTES_MIN = 64 * 1024;
/** An object that takes longer makes the next ones smaller, so that they take this long. */
export const OBJECT_MS_MAX = 10_000;
/** One that takes less may be followed by longer ones. */
const FAST_MS = OBJECT_MS_MAX / 4;
const GROWTH_FACTOR = 4;

export class ObjectSize {
  #plainBytesMax = OBJECT_PLAIN_BYTES_MAX;

  get plainBytesMax(): number {
    return this.#plainBytesMax;
  }

  /** An object has been stored. `attemptMs` is undefined where the client does not know. */
  stored({ plainBytes, attemptMs }: { plainBytes: number; attemptMs: number | undefined }): void {
    if (attemptMs === undefined) return;
    if (attemptMs > OBJECT_MS_MAX) {
      const fitting = Math.floor((plainBytes * OBJECT_MS_MAX) / attemptMs);
      this.#plainBytesMax = Math.max(OBJECT_PLAIN_BYTES_MIN, Math.min(this.#plainBytesMax, fitting));
    } else if (attemptMs < FAST_MS && plainBytes * 2 >= this.#plainBytesMax) {
      this.#plainBytesMax = Math.min(OBJECT_PLAIN_BYTES_MAX, this.#plainBytesMax * GROWTH_FACTOR);
    }
  }
}
