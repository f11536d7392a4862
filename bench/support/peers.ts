/** restic and rclone, where they are on PATH: the same directory, the same server, the same run. */
import { findOnPath } from '../../test/support/server-process.ts';
import type { BenchStore } from './bench-store.ts';
import { makeDirectory } from './make-directory.ts';
import { type CommandCost, runCommand } from './run-command.ts';

export interface Peer {
  readonly name: string;
  copy(database: string): Promise<CommandCost>;
  restore(target: string): Promise<CommandCost>;
}

export async function openPeers(s3: BenchStore, scratch: string): Promise<readonly Peer[]> {
  const peers: Peer[] = [];
  if ((await findOnPath('restic')) !== null) peers.push(await openRestic(s3, scratch));
  if ((await findOnPath('rclone')) !== null) peers.push(await openRclone(s3));
  return peers;
}

async function openRestic(s3: BenchStore, scratch: string): Promise<Peer> {
  const env = { ...s3.env, RESTIC_PASSWORD: 'bench', RESTIC_CACHE_DIR: await makeDirectory(scratch, 'restic-cache') };
  const repository = `s3:${s3.endpoint}/${await s3.makeBucket()}`;
  await runCommand(['restic', '-q', '-r', repository, 'init'], { env });
  return {
    name: 'restic',
    copy: (database) => runCommand(['restic', '-q', '-r', repository, 'backup', '.'], { env, cwd: database }),
    restore: (target) =>
      runCommand(['restic', '-q', '-r', repository, 'restore', 'latest', '--target', target], { env }),
  };
}

async function openRclone(s3: BenchStore): Promise<Peer> {
  const env = {
    ...s3.env,
    RCLONE_CONFIG: '/dev/null',
    RCLONE_CONFIG_BENCH_TYPE: 's3',
    RCLONE_CONFIG_BENCH_PROVIDER: 'Other',
    RCLONE_CONFIG_BENCH_ENV_AUTH: 'true',
    RCLONE_CONFIG_BENCH_REGION: 'us-east-1',
    RCLONE_CONFIG_BENCH_ENDPOINT: s3.endpoint,
  };
  const remote = `bench:${await s3.makeBucket()}/db`;
  return {
    name: 'rclone',
    copy: (database) => runCommand(['rclone', '-q', 'sync', database, remote], { env }),
    restore: (target) => runCommand(['rclone', '-q', 'copy', remote, target], { env }),
  };
}
