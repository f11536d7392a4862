/** The metrics of standbys. */
import type { StandbyState, StandbyStatus } from '../core/status.ts';
import type { Labels, MetricDefinition } from './metric-definition.ts';

const STATES: readonly StandbyState[] = ['starting', 'restoring', 'following', 'waiting', 'stopped'];
const LABELS = ['directory', 'destination'] as const;

const labelsOf = ({ directory, destination }: StandbyStatus): Labels => ({ directory, destination });

export function standbyDefinitions(standbys: () => readonly StandbyStatus[]): MetricDefinition[] {
  const one = (
    [kind, name, help]: readonly [MetricDefinition['kind'], string, string],
    value: (status: StandbyStatus) => number | bigint | null | undefined,
  ): MetricDefinition => ({
    kind,
    name,
    help,
    labels: LABELS,
    samples: () =>
      standbys().flatMap((status) => {
        const found = value(status);
        return found === null || found === undefined ? [] : [[labelsOf(status), Number(found)] as const];
      }),
  });
  return [
    {
      kind: 'gauge',
      name: 'standby_state',
      help: 'What the standby is doing: 1 for its state, 0 for the others.',
      labels: [...LABELS, 'state'],
      samples: () =>
        standbys().flatMap((s) =>
          STATES.map((state) => [{ ...labelsOf(s), state }, Number(s.state === state)] as const),
        ),
    },
    one(['gauge', 'standby_tx_offset', 'Last transaction that is durable in the standby.'], (s) => s.position?.tx),
    one(
      ['gauge', 'standby_lag_transactions', 'Transactions that are stored and not yet in the standby.'],
      (s) => s.lagTransactions,
    ),
    one(
      ['gauge', 'standby_lag_seconds', 'Age of the oldest of these, since it was first seen in the store.'],
      (s) => s.lagSeconds,
    ),
    one(['gauge', 'standby_last_success_timestamp_seconds', 'When the store last said what it holds.'], (s) =>
      s.lastSuccess === null ? null : Number(s.lastSuccess) / 1e6,
    ),
    one(['counter', 'standby_log_objects_total', 'Log objects applied.'], ({ counters }) => counters.logObjects),
    one(
      ['counter', 'standby_log_stored_bytes_total', 'Bytes of log objects applied, as stored.'],
      ({ counters }) => counters.logBytesStored,
    ),
  ];
}
