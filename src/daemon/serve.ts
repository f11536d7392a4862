/** Metrics and health over HTTP. Loaded only where an address is configured: together they cost 11 MB of memory. */
import type { DatabaseStatus, StoreCounters } from '../core/status.ts';
import { type HttpServer, serveHttp } from '../observe/http.ts';
import { createMetrics } from '../observe/metrics.ts';
import { readProcessFacts } from '../observe/process-facts.ts';

export interface ServeOptions {
  readonly addr: { readonly host: string; readonly port: number };
  readonly databases: () => readonly DatabaseStatus[];
  readonly stores: () => readonly StoreCounters[];
  readonly version: string;
}

/** @throws ConfigurationError when the address cannot be listened on */
export function serve({ addr, databases, stores, version }: ServeOptions): Promise<HttpServer> {
  const metrics = createMetrics({ version, databases, stores, process: readProcessFacts });
  return serveHttp({ addr, databases, metrics, version });
}
