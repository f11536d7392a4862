/**
 * The metrics, in the text format of Prometheus. All are made from what the engines tell when somebody scrapes: nothing
 * counts or ticks in between. Offsets are u64 and lose precision above 2^53, as every number there does.
 */
import { Registry } from 'prom-client';
import type {
  DatabaseState,
  DatabaseStatus,
  DrillStatus,
  ServerImageStatus,
  StandbyStatus,
  StoreCounters,
  StoreOperation,
} from '../core/status.ts';
import { drillDefinitions } from './drill-metrics.ts';
import { imageDefinitions } from './image-metrics.ts';
import { type Labels, type MetricDefinition, registerMetric, type Sample } from './metric-definition.ts';
import type { ProcessFacts } from './process-facts.ts';
import { standbyDefinitions } from './standby-metrics.ts';

export interface MetricsSources {
  readonly databases: () => readonly DatabaseStatus[];
  readonly images: () => readonly ServerImageStatus[];
  readonly standbys?: (() => readonly StandbyStatus[]) | undefined;
  readonly drills?: (() => readonly DrillStatus[]) | undefined;
  readonly stores: () => readonly StoreCounters[];
  readonly process: () => Promise<ProcessFacts>;
  readonly version: string;
}

export interface Metrics {
  readonly contentType: string;
  /** Everything as of now. */
  render(): Promise<string>;
}

const STATES: readonly DatabaseState[] = ['waiting', 'starting', 'streaming', 'stopped'];
const OPERATIONS: readonly StoreOperation[] = ['put', 'get', 'head', 'list', 'delete'];

/** One sample for each database and destination that has a value. */
function databaseDefinition(
  { databases }: MetricsSources,
  [kind, name, help]: readonly [MetricDefinition['kind'], string, string],
  value: (status: DatabaseStatus) => number | bigint | null | undefined,
): MetricDefinition {
  const samples = (): Sample[] =>
    databases().flatMap((status) => {
      const found = value(status);
      const labels = { database: status.database, destination: status.destination };
      return found === null || found === undefined ? [] : [[labels, Number(found)] as const];
    });
  return { kind, name, help, labels: ['database', 'destination'], samples };
}

function databaseDefinitions(sources: MetricsSources): MetricDefinition[] {
  const one = (
    what: readonly [MetricDefinition['kind'], string, string],
    value: (status: DatabaseStatus) => number | bigint | null | undefined,
  ): MetricDefinition => databaseDefinition(sources, what, value);
  return [
    one(['gauge', 'local_tx_offset', 'Last transaction of the checked local log.'], ({ local }) => local?.tx),
    one(['gauge', 'stored_tx_offset', 'Last transaction of the unbroken stored log.'], ({ stored }) => stored?.tx),
    one(['gauge', 'newest_snapshot_tx_offset', 'Transaction of the newest stored snapshot.'], (s) => s.newestSnapshot),
    one(['gauge', 'lag_transactions', 'Transactions read and not yet stored.'], (s) => s.lagTransactions),
    one(
      ['gauge', 'lag_seconds', 'Since when the oldest commit waits that is not known to be stored.'],
      (s) => s.lagSeconds,
    ),
    one(['gauge', 'snapshot_failing', 'Whether a snapshot newer than the newest stored one cannot be stored.'], (s) =>
      Number((s.snapshotProblem ?? null) !== null),
    ),
    one(
      [
        'gauge',
        'unrestorable_from_tx_offset',
        'Where a line begins of which nothing can be restored; absent elsewhere.',
      ],
      (s) => s.unrestorableFrom,
    ),
    one(['gauge', 'store_answered', 'Whether the destination has answered since the start.'], (s) =>
      Number(s.storeAnswered),
    ),
    one(
      [
        'gauge',
        'last_success_timestamp_seconds',
        'When the destination last acknowledged something, or was proven up to date.',
      ],
      ({ lastSuccess }) => (lastSuccess === null ? null : Number(lastSuccess) / 1e6),
    ),
    one(['counter', 'commits_total', 'Commits stored.'], ({ counters }) => counters.commits),
    one(['counter', 'log_objects_total', 'Log objects stored.'], ({ counters }) => counters.logObjects),
    one(
      ['counter', 'log_plain_bytes_total', 'Bytes of commit log stored, before compression.'],
      (s) => s.counters.logBytesPlain,
    ),
    one(
      ['counter', 'log_stored_bytes_total', 'Bytes of log objects stored.'],
      ({ counters }) => counters.logBytesStored,
    ),
    one(['counter', 'snapshots_total', 'Snapshots stored.'], ({ counters }) => counters.snapshots),
    one(['counter', 'packs_total', 'Packs of snapshot objects stored.'], ({ counters }) => counters.packs),
    one(['counter', 'pack_stored_bytes_total', 'Bytes of packs stored.'], ({ counters }) => counters.packBytesStored),
  ];
}

function stateDefinitions({ databases }: MetricsSources): MetricDefinition[] {
  const base = ({ database, destination }: DatabaseStatus): Labels => ({ database, destination });
  return [
    {
      kind: 'gauge',
      name: 'database_state',
      help: 'What the database is doing: 1 for its state, 0 for the others.',
      labels: ['database', 'destination', 'state'],
      samples: () =>
        databases().flatMap((s) => STATES.map((state) => [{ ...base(s), state }, Number(s.state === state)] as const)),
    },
    {
      kind: 'counter',
      name: 'generations_total',
      help: 'New generations that this process has begun, by their reason.',
      labels: ['database', 'destination', 'reason'],
      samples: () =>
        databases().flatMap((s) =>
          Object.entries(s.generationsBegun ?? {}).map(([reason, count]) => [{ ...base(s), reason }, count] as const),
        ),
    },
    {
      kind: 'gauge',
      name: 'damaged_byte',
      help: 'Where the local log is bad, in the plain bytes of the segment; absent while it is whole.',
      labels: ['database', 'destination', 'file'],
      samples: () =>
        databases().flatMap((s) => (s.damage ? [[{ ...base(s), file: s.damage.file }, s.damage.byte] as const] : [])),
    },
    {
      kind: 'gauge',
      name: 'lease_guarded',
      help: 'Whether the store keeps two writers apart (1), or nothing but reading does (0).',
      labels: ['database', 'destination'],
      samples: () =>
        databases().flatMap((s) => (s.leaseMode ? [[base(s), Number(s.leaseMode === 'exclusive')] as const] : [])),
    },
    {
      kind: 'gauge',
      name: 'last_error_timestamp_seconds',
      help: 'When the last error happened, by its code.',
      labels: ['database', 'destination', 'code'],
      samples: () =>
        databases().flatMap((s) =>
          s.lastError ? [[{ ...base(s), code: s.lastError.code }, Number(s.lastError.at) / 1e6] as const] : [],
        ),
    },
  ];
}

function storeDefinitions({ stores }: MetricsSources): MetricDefinition[] {
  const one = (
    name: string,
    help: string,
    field: keyof StoreCounters['operations'][StoreOperation],
  ): MetricDefinition => ({
    kind: 'counter',
    name,
    help,
    labels: ['destination', 'operation'],
    samples: () =>
      stores().flatMap(({ destination, operations }) =>
        OPERATIONS.map((operation) => [{ destination, operation }, operations[operation][field]] as const),
      ),
  });
  return [
    one('store_requests_total', 'Requests to the store.', 'requests'),
    one('store_errors_total', 'Requests to the store that failed.', 'errors'),
    one('store_sent_bytes_total', 'Bytes sent to the store.', 'bytesSent'),
    one('store_received_bytes_total', 'Bytes received from the store.', 'bytesReceived'),
    one('store_seconds_total', 'Time spent in requests to the store.', 'seconds'),
  ];
}

function processDefinitions({ process, version }: MetricsSources): MetricDefinition[] {
  const one = (
    kind: MetricDefinition['kind'],
    name: string,
    help: string,
    field: keyof ProcessFacts,
  ): MetricDefinition => ({
    kind,
    name,
    help,
    labels: [],
    samples: async () => [[{}, (await process())[field]]],
  });
  return [
    { kind: 'gauge', name: 'info', help: 'The program.', labels: ['version'], samples: () => [[{ version }, 1]] },
    one('counter', 'process_cpu_seconds_total', 'CPU time of this process.', 'cpuSeconds'),
    one('gauge', 'process_resident_memory_bytes', 'Resident memory of this process.', 'residentBytes'),
    one('gauge', 'process_start_time_seconds', 'When this process began.', 'startTimeSeconds'),
  ];
}

export function createMetrics(sources: MetricsSources): Metrics {
  const registry = new Registry();
  const definitions = [
    ...stateDefinitions(sources),
    ...databaseDefinitions(sources),
    ...imageDefinitions(sources),
    ...(sources.standbys === undefined ? [] : standbyDefinitions(sources.standbys)),
    ...(sources.drills === undefined ? [] : drillDefinitions(sources.drills)),
    ...storeDefinitions(sources),
    ...processDefinitions(sources),
  ];
  for (const definition of definitions) registerMetric(registry, definition);
  return { contentType: registry.contentType, render: () => registry.metrics() };
}
