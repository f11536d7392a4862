/** Metrics and health over HTTP. Loaded only where an address is configured: together they cost 11 MB of memory. */
import type { DatabaseStatus, DrillStatus, ServerImageStatus, StandbyStatus, StoreCounters } from '../core/status.ts';
import type { LogEvent } from '../observe/event-ring.ts';
import { type HttpServer, serveHttp } from '../observe/http.ts';
import { createMetrics } from '../observe/metrics.ts';
import { readProcessFacts } from '../observe/process-facts.ts';

export interface ServeOptions {
  readonly addr: { readonly host: string; readonly port: number };
  readonly databases: () => readonly DatabaseStatus[];
  readonly images: () => readonly ServerImageStatus[];
  readonly standbys?: () => readonly StandbyStatus[];
  readonly drills?: (() => readonly DrillStatus[]) | undefined;
  readonly stores: () => readonly StoreCounters[];
  /** The last lines of the log, oldest first. */
  readonly events: () => readonly LogEvent[];
  readonly version: string;
}

/** @throws ConfigurationError when the address cannot be listened on */
export function serve({
  addr,
  databases,
  images,
  standbys,
  drills,
  stores,
  events,
  version,
}: ServeOptions): Promise<HttpServer> {
  const metrics = createMetrics({ version, databases, images, standbys, drills, stores, process: readProcessFacts });
  return serveHttp({ addr, databases, images, standbys, drills, events, metrics, version });
}
