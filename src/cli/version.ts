/** `version` */
import { arch, platform } from 'node:os';
import type { Command } from 'commander';
import { Option } from 'commander';
import { act, checkPositionals, newCommand } from './command.ts';
import { type Io, writeJson, writeText } from './io.ts';
import type { Session } from './session.ts';

/** What a report of a problem must name. */
export const versionFacts = (io: Io, version: string): Readonly<Record<string, string>> => ({
  version,
  ...(io.versions?.['node'] === undefined ? {} : { node: io.versions['node'] }),
  ...(io.versions?.['zstd'] === undefined ? {} : { zstd: io.versions['zstd'] }),
  platform: platform(),
  arch: arch(),
});

export function versionCommand(session: Session): Command {
  const command = newCommand(
    session,
    {
      name: 'version',
      summary: 'Print the version.',
      usage: '[flags]',
      description: 'Prints the version of this program and of what it runs on.',
      examples: [['stdb-replicate version -json', 'for a script']],
    },
    [new Option('--json', 'Print one JSON document.')],
  );
  return act<{ json?: true }>(session, command, async (_positionals, { json }) => {
    checkPositionals(command, { min: 0, max: 0, what: 'no arguments' });
    const { io, version } = session;
    const facts = versionFacts(io, version);
    if (json) await writeJson(io.stdout, facts);
    else await writeText(io.stdout, `stdb-replicate ${version} (${runtimeOf(facts)})\n`);
    return 0;
  });
}

const runtimeOf = ({ node, zstd, platform: system, arch: machine }: Readonly<Record<string, string>>): string =>
  [...(node ? [`node ${node}`] : []), ...(zstd ? [`zstd ${zstd}`] : []), `${system} ${machine}`].join(', ');
