/** The operator's log, as the configuration wants it. */
import type { Log } from '../core/log.ts';
import type { LogEvent } from '../observe/event-ring.ts';
import { createLogger, type LoggerOptions } from '../observe/logger.ts';

export interface OperatorLog extends Log {
  /** The last events that were written, oldest first. */
  events(): readonly LogEvent[];
}

export const openLog = (options: LoggerOptions): OperatorLog => createLogger(options);
