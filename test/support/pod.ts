/**
 * The containers of `config/kubernetes` as processes of this machine: the arguments, the environment and the
 * configuration are those of the manifest, with other paths and ports where a machine is no container.
 */
import { spawnSync } from 'node:child_process';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { BASE, type Container, containerOf, type Pod, podIn, STATEFUL_SET } from '../manifests/kubernetes.ts';
import { readProjectFile } from '../tidy/repository.ts';
import { freePort } from './free-port.ts';
import { PROGRAM, type ProgramResult, type RunningProgram, runProgram, startProgram } from './program.ts';

export interface PodOptions {
  /** Holds the configuration; made. */
  readonly directory: string;
  /** Where the volume is, in place of the manifest's mount path. */
  readonly volume: string;
  readonly name: string;
  /** What the ConfigMap and the Secret of a deployment give. */
  readonly env: Readonly<Record<string, string>>;
}

/** The user of the manifest, where this process may become it and it may run the program; else our own. */
function userOf({ securityContext }: Pod): number | undefined {
  const uid = securityContext?.runAsUser;
  if (uid === undefined || process.getuid?.() !== 0) return undefined;
  const readable = spawnSync(process.execPath, ['-e', 'require("node:fs").accessSync(process.argv[1])', PROGRAM], {
    uid,
  });
  return readable.status === 0 ? uid : undefined;
}

export class PlayedPod {
  readonly #pod = podIn(readProjectFile(STATEFUL_SET));
  readonly #options: PodOptions;
  readonly #configuration: string;
  readonly #port: number;

  private constructor(options: PodOptions, { configuration, port }: { configuration: string; port: number }) {
    this.#options = options;
    this.#configuration = configuration;
    this.#port = port;
  }

  static async create(options: PodOptions): Promise<PlayedPod> {
    const port = await freePort();
    const path =
      containerOf(podIn(readProjectFile(STATEFUL_SET)), 'server').volumeMounts?.find(({ name }) => name === 'data')
        ?.mountPath ?? '';
    const text = readProjectFile(`${BASE}/replicate.yml`)
      .replace('0.0.0.0:9090', `127.0.0.1:${port}`)
      .replace(`path: ${path}`, `path: ${options.volume}`);
    const configuration = `${options.directory}/replicate.yml`;
    await mkdir(options.directory, { recursive: true });
    await writeFile(configuration, text);
    await chmod(options.directory, 0o755);
    return new PlayedPod(options, { configuration, port });
  }

  /** Whose the processes are. */
  get user(): number {
    return userOf(this.#pod) ?? process.getuid?.() ?? 0;
  }

  #env({ env = [] }: Container): Record<string, string> {
    const own = env.map(({ name, value, valueFrom }): [string, string] => {
      if (valueFrom?.fieldRef?.fieldPath === 'metadata.name') return [name, this.#options.name];
      return [name, name === 'STDB_REPLICATE_CONFIG' ? this.#configuration : (value ?? '')];
    });
    return { ...this.#options.env, ...Object.fromEntries(own) };
  }

  #process(name: 'restore' | 'replicate') {
    const container = containerOf(this.#pod, name);
    const mount = container.volumeMounts?.find((each) => each.name === 'data')?.mountPath;
    const args = (container.args ?? []).map((arg) => (arg === mount ? this.#options.volume : arg));
    const uid = userOf(this.#pod);
    return { args, options: { env: this.#env(container), ...(uid === undefined ? {} : { uid }) } };
  }

  /** The init container, to its end. */
  restore(): Promise<ProgramResult> {
    const { args, options } = this.#process('restore');
    return runProgram(args, options);
  }

  /** The sidecar; when this resolves its startup probe has succeeded, so that the server would be started. */
  async replicate(): Promise<RunningProgram> {
    const { args, options } = this.#process('replicate');
    const program = startProgram(args, { ...options, timeoutMs: 120_000 });
    const path = containerOf(this.#pod, 'replicate').startupProbe?.httpGet?.path ?? '';
    await program.until(
      () =>
        this.get(path).then(
          ({ ok }) => ok,
          () => false,
        ),
      'the startup probe to succeed',
    );
    return program;
  }

  get(path: string): Promise<Response> {
    return fetch(`http://127.0.0.1:${this.#port}${path}`, { signal: AbortSignal.timeout(5_000) });
  }

  /** A metric of the sidecar with a label that matches; null where it is absent. */
  async metric(name: string, label = /(?:)/): Promise<number | null> {
    const text = await (await this.get('/metrics')).text();
    const line = text.split('\n').find((each) => each.startsWith(`stdb_replicate_${name}{`) && label.test(each));
    return line === undefined ? null : Number(line.slice(line.lastIndexOf(' ')));
  }
}
