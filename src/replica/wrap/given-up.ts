/**
 * What one pass has given up waiting for, shared by all clients of one store: a command that may wait for 30 seconds
 * waits so long for the store, not for each call, each database and each snapshot in turn.
 *
 * Invariant: every call is made all the same, once: a store that is back, or has room for it, is never passed over.
 */
import { UnavailableError } from '../replica-client.ts';

export class GivenUp {
  #silent = false;
  #full = false;

  /** Whether waiting for this failure to pass is over. */
  has(error: unknown): boolean {
    return saysNothing(error) ? this.#silent : this.#full;
  }

  /** All the time that there was has been spent on it. */
  add(error: unknown): void {
    if (saysNothing(error)) this.#silent = true;
    else this.#full = true;
  }

  /** The store is there. That tells nothing of its room: what is small still fits into a disk that is all but full. */
  answered(): void {
    this.#silent = false;
  }
}

/** Of the failures that may pass, that of a store without room is the only one that is no want of an answer. */
export const saysNothing = (error: unknown): boolean => error instanceof UnavailableError;
