/** The metrics of scheduled drills. */
import type { DrillStatus } from '../core/status.ts';
import type { MetricDefinition } from './metric-definition.ts';

export function drillDefinitions(drills: () => readonly DrillStatus[]): MetricDefinition[] {
  const one = (
    [kind, name, help]: readonly [MetricDefinition['kind'], string, string],
    value: (status: DrillStatus) => number | bigint | null,
  ): MetricDefinition => ({
    kind,
    name,
    help,
    labels: ['database', 'destination'],
    samples: () =>
      drills().flatMap((status) => {
        const found = value(status);
        const { database, destination } = status;
        return found === null ? [] : [[{ database, destination }, Number(found)] as const];
      }),
  });
  return [
    one(
      ['gauge', 'drill_last_success_timestamp_seconds', 'When a drill last proved that the backup can be restored.'],
      (s) => (s.lastSuccess === null ? null : Number(s.lastSuccess) / 1e6),
    ),
    one(['gauge', 'drill_duration_seconds', 'How long the last successful drill took.'], (s) => s.lastDurationSeconds),
    one(
      ['gauge', 'drill_tx_offset', 'Transaction that the last successful drill reached.'],
      (s) => s.lastPosition?.tx ?? null,
    ),
    one(
      ['gauge', 'drill_point_timestamp_seconds', 'Server time of the point that the last successful drill reached.'],
      (s) => (s.lastPosition === null ? null : Number(s.lastPosition.time) / 1e6),
    ),
    one(['counter', 'drills_total', 'Drills that succeeded.'], (s) => s.successes),
    one(['counter', 'drill_failures_total', 'Drills that failed.'], (s) => s.failures),
  ];
}
