/** A disk that is soon full, where the user of the tests may mount one. */
import { spawnSync } from 'node:child_process';
import { mkdir } from 'node:fs/promises';

export interface SmallDisk extends AsyncDisposable {
  readonly path: string;
  resize(size: string): Promise<void>;
}

/** Null where a small file system can be mounted. */
export function whyNoSmallDisk(): string | null {
  if (process.getuid?.() !== 0) return 'only root may mount a small disk';
  const { status, stderr, error } = spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], {
    encoding: 'utf8',
  });
  return status === 0 ? null : `no small disk can be mounted here: ${error?.message ?? stderr.trim()}`;
}

/** @param size as mount(8) writes it: 256k, 8m */
export async function mountSmallDisk(path: string, size: string): Promise<SmallDisk> {
  await mkdir(path, { recursive: true });
  run('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', path]);
  return {
    path,
    resize: async (to) => run('mount', ['-o', `remount,size=${to}`, path]),
    [Symbol.asyncDispose]: async () => run('umount', [path]),
  };
}

function run(command: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? stderr.trim()}`);
}
