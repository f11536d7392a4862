/** The last words of one pass (`-once`): how far each database is stored, and a server's own files. */
import type { Log } from '../core/log.ts';
import type { DatabaseStatus, ServerImageStatus } from '../core/status.ts';
import type { Outcome } from './supervisor.ts';

export interface PassSummaryOptions {
  readonly databases: readonly DatabaseStatus[];
  readonly images: readonly ServerImageStatus[];
  readonly outcomes: readonly Outcome[];
  readonly log: Log;
}

/** What never began has said why by itself, and nothing is said of it here. */
export function sayPass({ databases, images, outcomes, log }: PassSummaryOptions): void {
  const ends = new Map(outcomes.map(({ service, error }) => [service, error]));
  for (const { database, destination, stored } of databases) {
    const end = ends.get(`${database} → ${destination}`);
    if (end === undefined) continue;
    const facts = { database, destination, ...(stored === null ? {} : { tx: stored.tx }) };
    if (end === null && stored !== null) log.info(`all is stored up to transaction ${stored.tx}`, facts);
    else if (end === null) log.info('all is stored: there is no transaction yet', facts);
    else if (stored === null) log.warn('not all is stored: nothing is known to be', facts);
    else log.warn(`not all is stored: the log is, up to transaction ${stored.tx}`, facts);
  }
  for (const { dataDirectory, destination, lastSuccess, lastError } of images) {
    const facts = { dataDirectory, destination };
    const isWhole = lastSuccess !== null && (lastError === null || lastError.at < lastSuccess);
    if (isWhole) log.info('the image of the server is up to date', facts);
    else if (lastError !== null) log.warn('the newest image of the server is not up to date', facts);
  }
}
