/** What `config/kubernetes` says: its files, the pod in them, and all of it rendered where a kustomize is at hand. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { parse } from 'yaml';
import { ROOT, readProjectFile } from '../tidy/repository.ts';

export interface Probe {
  readonly httpGet?: { readonly path: string; readonly port: string };
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly restartPolicy?: string;
  readonly args?: readonly string[];
  readonly env?: readonly {
    readonly name: string;
    readonly value?: string;
    readonly valueFrom?: { readonly fieldRef?: { readonly fieldPath: string } };
  }[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[];
  readonly startupProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly lifecycle?: { readonly preStop?: { readonly exec?: { readonly command: readonly string[] } } };
  readonly securityContext?: {
    readonly allowPrivilegeEscalation?: boolean;
    readonly readOnlyRootFilesystem?: boolean;
    readonly capabilities?: { readonly drop?: readonly string[] };
  };
  readonly resources?: {
    readonly requests?: Readonly<Record<string, string>>;
    readonly limits?: Readonly<Record<string, string>>;
  };
}

export interface Pod {
  readonly automountServiceAccountToken?: boolean;
  readonly terminationGracePeriodSeconds?: number;
  readonly securityContext?: {
    readonly runAsNonRoot?: boolean;
    readonly runAsUser?: number;
    readonly fsGroup?: number;
    readonly seccompProfile?: { readonly type: string };
  };
  readonly initContainers?: readonly Container[];
  readonly containers: readonly Container[];
}

interface Kustomization {
  readonly resources?: readonly string[];
  readonly patches?: readonly { readonly path?: string }[];
  readonly configMapGenerator?: readonly { readonly files?: readonly string[] }[];
}

export const BASE = 'config/kubernetes/base';
export const EXAMPLE = 'config/kubernetes/example';
export const STATEFUL_SET = `${BASE}/statefulset.yaml`;

export const podIn = (text: string): Pod =>
  (parse(text) as { readonly spec: { readonly template: { readonly spec: Pod } } }).spec.template.spec;

export const containerOf = (pod: Pod, name: string): Container => {
  const found = [...(pod.initContainers ?? []), ...pod.containers].find((container) => container.name === name);
  if (found === undefined) throw new Error(`the pod has no container ${name}`);
  return found;
};

/** The files that a kustomization names, as it names them. */
export function filesNamedIn(directory: string): string[] {
  const {
    resources = [],
    patches = [],
    configMapGenerator = [],
  } = parse(readProjectFile(`${directory}/kustomization.yaml`)) as Kustomization;
  return [
    ...resources,
    ...patches.flatMap(({ path }) => path ?? []),
    ...configMapGenerator.flatMap(({ files = [] }) => files),
  ];
}

const COMMANDS = [
  ['kubectl', 'kustomize'],
  ['kustomize', 'build'],
] as const;
const found = COMMANDS.find(([command, ...args]) => spawnSync(command, [...args, '--help']).status === 0);

/** Why nothing can be rendered; null where it can. */
export const kustomizeMissing = found === undefined ? 'neither kubectl nor kustomize is on PATH' : null;

/** What is applied, as one YAML stream. @throws where a kustomize refuses it */
export function render(directory: string): string {
  const [command, ...args] = found ?? COMMANDS[0];
  const { status, stdout, stderr } = spawnSync(command, [...args, join(ROOT, directory)], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${directory} cannot be rendered: ${stderr}`);
  return stdout;
}
