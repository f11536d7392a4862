/** One-shot commands end at the first signal as cleanly as they can, at the second one at once. */
import { EXIT, InterruptedError } from '../core/errors.ts';
import type { Io } from './io.ts';

export interface InterruptibleOptions {
  /** What the operator is told: what was stopped, and what is left of it. */
  readonly message: string;
}

/** @throws InterruptedError (130, 143) where a signal ended the work */
export async function interruptible<T>(
  io: Pick<Io, 'signals' | 'exit'>,
  { message }: InterruptibleOptions,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const stopListening = io.signals.onSignal((name) => {
    const signal = name === 'SIGINT' ? 'SIGINT' : 'SIGTERM';
    if (controller.signal.aborted) io.exit(signal === 'SIGINT' ? EXIT.interrupted : EXIT.terminated);
    controller.abort(new InterruptedError(message, { signal }));
  });
  try {
    return await work(controller.signal);
  } finally {
    stopListening();
  }
}
