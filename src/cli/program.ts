/** All commands of this release. */
import type { Command } from 'commander';
import { newCommand } from './command.ts';
import { configCommand } from './config.ts';
import { databasesCommand } from './databases.ts';
import { generationsCommand } from './generations.ts';
import { drillCommand } from './drill.ts';
import { helpCommand } from './help-command.ts';
import { leaseCommand } from './lease.ts';
import { logCommand } from './log.ts';
import { pointsCommand } from './points.ts';
import { replicateCommand } from './replicate.ts';
import { restoreCommand } from './restore.ts';
import type { Session } from './session.ts';
import { snapshotsCommand } from './snapshots.ts';
import { supportBundleCommand } from './support-bundle.ts';
import { verifyCommand } from './verify.ts';
import { versionCommand } from './version.ts';

export function buildProgram(session: Session): Command {
  const program = newCommand(session, {
    name: 'stdb-replicate',
    summary: '',
    usage: 'COMMAND [flags]',
    description: `Continuous backup of SpacetimeDB databases to object storage, and a proven restore.
Flags may be written -name value, -name=value or --name value, before or after arguments.`,
    examples: [
      [
        'stdb-replicate replicate /stdb/data/replicas/1 s3://my-backups/game-0',
        'back up one database for as long as this runs',
      ],
      [
        'stdb-replicate restore -o /stdb/restored s3://my-backups/game-0',
        'restore the newest point into a new directory',
      ],
      ['stdb-replicate help restore', 'more about one command'],
    ],
  });
  const commands = [
    replicateCommand(session),
    restoreCommand(session),
    databasesCommand(session),
    generationsCommand(session),
    snapshotsCommand(session),
    pointsCommand(session),
    logCommand(session),
    verifyCommand(session),
    drillCommand(session),
    leaseCommand(session),
    configCommand(session),
    supportBundleCommand(session),
    versionCommand(session),
    helpCommand(session),
  ];
  for (const command of commands) program.addCommand(command);
  return program;
}
