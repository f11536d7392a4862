/** The container engine of this machine, where there is one. */
import { spawnSync } from 'node:child_process';
import { ROOT } from '../tidy/repository.ts';

export const BASE = 'node:24-bookworm-slim';

export interface Said {
  readonly status: number | null;
  /** Both of its outputs. */
  readonly output: string;
}

/** Runs docker in the project's directory, to its end. */
export function docker(args: readonly string[], env: Readonly<Record<string, string>> = {}): Said {
  const { status, stdout, stderr } = spawnSync('docker', args, {
    cwd: ROOT,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
    env: { ...process.env, ...env },
  });
  return { status, output: `${stdout ?? ''}${stderr ?? ''}` };
}

/** Why no container can be run from these images; null where it can. Nothing is fetched. */
export function whyNotRun(...images: readonly string[]): string | null {
  if (docker(['info']).status !== 0) return 'no container engine answers';
  const absent = images.find((image) => docker(['image', 'inspect', image]).status !== 0);
  return absent === undefined ? null : `the image ${absent} is not here`;
}

/** Builds the program's image. The host's network, so that the build reaches the packages that this machine reaches. */
export const buildImage = (tag: string): Said =>
  docker(['build', '--network=host', '-f', 'docker/Dockerfile', '-t', tag, '.']);
