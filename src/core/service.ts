/** The contract of everything that runs until it is told to stop; the daemon's supervisor runs them. */

export interface Service {
  /** For logs and health. */
  readonly name: string;
  /**
   * Runs until the work is over, `drain` has been answered, or `signal` is aborted (stop at once; what is unsaved stays
   * unsaved, nothing is left half written). Rejects with the error that ended it.
   */
  run(signal: AbortSignal): Promise<void>;
  /** Asks `run` to finish what is pending, hand over, and end. May be called more than once; does not wait. */
  drain(): void;
}
