/** Waiting for a server to make its control-db: a directory may be configured before anything is in it. */
import { Backoff } from '../../core/backoff.ts';
import { ConfigurationError, LocalFileError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import { survey, type SurveyOptions } from './survey.ts';

const WAIT_MS = 1_000;
/** A wrong path is waited for like a right one: said once in ten minutes. */
const WAITS_BEFORE_WARNING = 600;

export interface ServerWaitOptions extends SurveyOptions {
  /** Not to wait, but to fail. */
  readonly once: boolean;
  readonly log: Log;
  /** Resolves with true when told to end meanwhile. */
  readonly sleep: (ms: number) => Promise<boolean>;
  readonly onFailure: (error: LocalFileError) => void;
}

/**
 * @returns false when told to end before there was a server: looked for once more then, since it may just have ended
 * @throws ConfigurationError with `once` alone; LocalFileError too where the last look fails, which then knows nothing
 */
export async function waitForServer(options: ServerWaitOptions): Promise<boolean> {
  const { once, dataDirectory, log, sleep, onFailure } = options;
  const backoff = new Backoff({ firstMs: WAIT_MS });
  let isLastLook = false;
  for (let waits = 0; ; waits += 1) {
    let waitMs = WAIT_MS;
    try {
      if ((await survey(options)) !== null) return true;
      if (isLastLook) return false;
      if (once) throw noServer(dataDirectory);
      if (waits === 0) log.info('waiting for a server to make its control-db');
      else if (waits % WAITS_BEFORE_WARNING === 0) {
        log.warn(`still waiting for a control-db in ${dataDirectory}: no image of this server is stored`);
      }
    } catch (error) {
      if (once || isLastLook || !(error instanceof LocalFileError)) throw error;
      if (backoff.failures === 0) log.warn(error.message);
      onFailure(error);
      waitMs = backoff.nextDelayMs();
    }
    isLastLook = await sleep(waitMs);
  }
}

const noServer = (dataDirectory: string): ConfigurationError =>
  new ConfigurationError(`there is no control-db in ${dataDirectory}`, {
    hint: "Give a server's data directory, after the server has written to it.",
    facts: { dataDirectory },
  });
