/** Runs services side by side, as they come and go: one that fails is reported and leaves the others running. */
import { errorMessage, ReplicateError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { Service } from '../core/service.ts';

export interface Outcome {
  readonly service: string;
  /** Null when it ended as it should. */
  readonly error: unknown;
}

export interface RunOptions {
  /** Asked when the service has ended: whether what its own services end with stands for it. Default: no. */
  readonly isContainer?: () => boolean;
  /** Asked when the service has ended: whether how it ended is of no concern any more. Default: it is of concern. */
  readonly isForgotten?: () => boolean;
}

export interface SupervisorOptions {
  /** Ends all services at once. */
  readonly signal: AbortSignal;
  readonly log: Log;
}

const never = (): boolean => false;

export class Supervisor {
  readonly #options: SupervisorOptions;
  /** Each with whether what its own services end with stands for it. */
  readonly #running = new Map<Service, () => boolean>();
  readonly #outcomes = new Map<Service, Outcome>();
  #draining = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  /** What became of those that have ended and count. */
  get outcomes(): readonly Outcome[] {
    return [...this.#outcomes.values()];
  }

  /** Names of those that have not ended, without those that only wait for others of them. */
  get running(): readonly string[] {
    return [...this.#running].flatMap(([{ name }, isContainer]) => (isContainer() ? [] : [name]));
  }

  /** How this service ended is of no concern any more. */
  forget(service: Service): void {
    this.#outcomes.delete(service);
  }

  /** Asks all services to finish, those too that begin from now on. */
  drain(): void {
    this.#draining = true;
    for (const service of this.#running.keys()) service.drain();
  }

  /** Resolves when the service has ended, whatever with. */
  async run(service: Service, { isContainer = never, isForgotten = never }: RunOptions = {}): Promise<Outcome> {
    const { signal, log } = this.#options;
    this.#running.set(service, isContainer);
    if (this.#draining) service.drain();
    let error: unknown = null;
    try {
      await service.run(signal);
    } catch (thrown) {
      error = thrown;
    } finally {
      this.#running.delete(service);
    }
    const outcome = { service: service.name, error };
    if (isForgotten()) {
      if (error !== null) log.info(`${service.name} has ended`, { reason: errorMessage(error) });
      return outcome;
    }
    if (error !== null) logFailure(log, service.name, error);
    if (error !== null || !isContainer()) this.#outcomes.set(service, outcome);
    return outcome;
  }
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
