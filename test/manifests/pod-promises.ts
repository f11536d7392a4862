/** What the pod of `config/kubernetes` promises beyond being valid, as findings over the StatefulSet's text. */
import { type Container, containerOf, type Pod, podIn } from './kubernetes.ts';

/** As `config/kubernetes/base/replicate.yml` has it. */
export interface PodFacts {
  readonly shutdownTimeoutSeconds: number;
  readonly database: string;
}

interface Check {
  readonly finding: string;
  readonly holds: (pod: Pod, facts: PodFacts) => boolean;
}

const all = (pod: Pod): readonly Container[] => [...(pod.initContainers ?? []), ...pod.containers];
const ours = (pod: Pod): readonly Container[] => pod.initContainers ?? [];
const mount = (container: Container, path: string) =>
  container.volumeMounts?.find(({ mountPath }) => mountPath === path);

/** Of the server's own end: the hook that asks for it may take so long. */
function hookSeconds(pod: Pod): number {
  const [, , script = ''] = containerOf(pod, 'server').lifecycle?.preStop?.exec?.command ?? [];
  return Number(/sleep (\d+)$/.exec(script)?.[1]);
}

const CHECKS: readonly Check[] = [
  {
    finding: 'restore comes first, then replicate, then the server',
    holds: (pod) =>
      ours(pod)
        .map(({ name }) => name)
        .join() === 'restore,replicate' && pod.containers.length === 1,
  },
  {
    finding: 'restore ends, and replicate stays beside the server',
    holds: (pod) =>
      ours(pod)
        .map(({ restartPolicy }) => restartPolicy)
        .join() === ',Always',
  },
  {
    finding: 'restore leaves what is there, and begins where nothing was ever stored',
    holds: (pod, { database }) => {
      const args = containerOf(pod, 'restore').args ?? [];
      return (
        args[0] === 'restore' &&
        args.includes('-if-db-not-exists') &&
        args.includes('-if-replica-exists') &&
        args.at(-1) === database
      );
    },
  },
  {
    finding: 'replicate reads the data, restore and the server write it',
    holds: (pod, { database }) =>
      ['restore', 'replicate', 'server']
        .map((name) => mount(containerOf(pod, name), database)?.readOnly ?? false)
        .join() === 'false,true,false',
  },
  {
    finding: 'the pod is the owner of its backup',
    holds: (pod) =>
      ours(pod).every(({ env = [] }) =>
        env.some(({ name, valueFrom }) => name === 'POD_NAME' && valueFrom?.fieldRef?.fieldPath === 'metadata.name'),
      ),
  },
  {
    finding: 'a store that is away does not hold back or take away the server',
    holds: (pod) => {
      const { startupProbe, livenessProbe, readinessProbe } = containerOf(pod, 'replicate');
      return (
        startupProbe?.httpGet?.path === '/livez' &&
        livenessProbe?.httpGet?.path === '/livez' &&
        readinessProbe === undefined
      );
    },
  },
  {
    finding: 'probes ask ports that are declared',
    holds: (pod) =>
      all(pod).every((container) =>
        [container.startupProbe, container.livenessProbe, container.readinessProbe].every(
          (probe) =>
            probe?.httpGet === undefined || container.ports?.some(({ name }) => name === probe.httpGet?.port) === true,
        ),
      ),
  },
  {
    finding: 'the server is asked to end by SIGINT',
    holds: (pod) =>
      containerOf(pod, 'server').lifecycle?.preStop?.exec?.command.some((text) => text.startsWith('kill -INT 1;')) ===
      true,
  },
  {
    finding: 'the grace period holds the end of the server and then the last sync',
    holds: (pod, { shutdownTimeoutSeconds }) =>
      (pod.terminationGracePeriodSeconds ?? 30) >= hookSeconds(pod) + shutdownTimeoutSeconds + 10,
  },
  {
    finding: 'nobody is root, and the volume belongs to all of them',
    holds: ({ securityContext: of }) =>
      of?.runAsNonRoot === true &&
      (of.runAsUser ?? 0) > 0 &&
      of.fsGroup !== undefined &&
      of.seccompProfile?.type === 'RuntimeDefault',
  },
  {
    finding: 'no privilege, no capability, no writable root',
    holds: (pod) =>
      all(pod).every(
        ({ securityContext: of }) =>
          of?.allowPrivilegeEscalation === false &&
          of.readOnlyRootFilesystem === true &&
          of.capabilities?.drop?.join() === 'ALL',
      ),
  },
  { finding: 'no token of Kubernetes', holds: (pod) => pod.automountServiceAccountToken === false },
  {
    finding: 'requests for all, and a limit of memory',
    holds: (pod) =>
      all(pod).every(
        ({ resources }) =>
          resources?.requests?.['cpu'] !== undefined &&
          resources.requests['memory'] !== undefined &&
          resources.limits?.['memory'] !== undefined,
      ),
  },
];

export const FINDINGS: readonly string[] = CHECKS.map(({ finding }) => finding);

/** The promises that the StatefulSet in `text` breaks. */
export function lintPod(text: string, facts: PodFacts): string[] {
  const pod = podIn(text);
  return CHECKS.filter(({ holds }) => !holds(pod, facts)).map(({ finding }) => finding);
}
