/** The metrics of servers' own files. */
import type { ServerImageState, ServerImageStatus } from '../core/status.ts';
import type { Labels, MetricDefinition } from './metric-definition.ts';

const STATES: readonly ServerImageState[] = ['waiting', 'starting', 'copying', 'watching', 'stopped'];
const LABELS = ['server', 'destination'] as const;

const labelsOf = ({ dataDirectory, destination }: ServerImageStatus): Labels => ({
  server: dataDirectory,
  destination,
});

const seconds = (micros: bigint | null): number | null => (micros === null ? null : Number(micros) / 1e6);

export function imageDefinitions({
  images,
}: {
  readonly images: () => readonly ServerImageStatus[];
}): MetricDefinition[] {
  const one = (
    [kind, name, help]: readonly [MetricDefinition['kind'], string, string],
    value: (status: ServerImageStatus) => number | null,
  ): MetricDefinition => ({
    kind,
    name,
    help,
    labels: LABELS,
    samples: () =>
      images().flatMap((status) => {
        const found = value(status);
        return found === null ? [] : [[labelsOf(status), found] as const];
      }),
  });
  return [
    {
      kind: 'gauge',
      name: 'server_state',
      help: "What the writer of a server's own files is doing: 1 for its state, 0 for the others.",
      labels: [...LABELS, 'state'],
      samples: () =>
        images().flatMap((s) => STATES.map((state) => [{ ...labelsOf(s), state }, Number(s.state === state)] as const)),
    },
    one(['gauge', 'image_timestamp_seconds', "Time of the newest stored image of a server's own files."], (s) =>
      seconds(s.lastImage),
    ),
    one(
      ['gauge', 'image_pending_seconds', 'Age of the oldest change that is in no stored image.'],
      (s) => s.pendingSeconds,
    ),
    one(['gauge', 'server_last_success_timestamp_seconds', 'When the store last held all of them.'], (s) =>
      seconds(s.lastSuccess),
    ),
    one(['counter', 'images_total', "Images of a server's own files stored."], (s) => s.imagesStored),
    one(['counter', 'programs_total', 'Programs of databases stored.'], (s) => s.programsStored),
  ];
}
