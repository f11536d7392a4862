/** Runs services side by side: one that fails is reported and leaves the others running. */
import { errorMessage, ReplicateError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { Service } from '../core/service.ts';

export interface Outcome {
  readonly service: string;
  /** Null when it ended as it should. */
  readonly error: unknown;
}

/** Resolves when all have ended. */
export function runAll(
  services: readonly Service[],
  { signal, log }: { signal: AbortSignal; log: Log },
): Promise<readonly Outcome[]> {
  return Promise.all(
    services.map(async (service): Promise<Outcome> => {
      try {
        await service.run(signal);
        return { service: service.name, error: null };
      } catch (error) {
        logFailure(log, service.name, error);
        return { service: service.name, error };
      }
    }),
  );
}

function logFailure(log: Log, service: string, error: unknown): void {
  const known = error instanceof ReplicateError;
  const hint = known && error.hint !== undefined ? { hint: error.hint } : {};
  log.error(`${service} stopped: ${errorMessage(error)}`, {
    service,
    ...(known ? { code: error.code, ...error.facts } : { error }),
    ...hint,
  });
}
