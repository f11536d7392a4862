/** `support-bundle` */
import { open, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { Option } from 'commander';
import { strToU8, zipSync } from 'fflate';
import type { LoadedConfig } from '../config/load.ts';
import { ConfigurationError, EXIT, LocalFileError, localFileError, systemCode, UsageError } from '../core/errors.ts';
import { collectBundle } from './bundle-contents.ts';
import { act, type CommandFacts, checkPositionals, configFileOption, helpHint, newCommand } from './command.ts';
import { interruptible } from './interrupt.ts';
import { writeText } from './io.ts';
import { parseDurationFlag } from './parse-flags.ts';
import { loadForCommand, type Session } from './session.ts';
import { humanBytes } from './units.ts';

interface Flags {
  readonly config?: string;
  readonly giveUpAfter: string;
}

const facts: CommandFacts = {
  name: 'support-bundle',
  summary: 'Collect what helps to find a problem.',
  usage: '[flags] FILE.zip',
  description: `Writes a zip file with the configuration without its secrets, versions, the state of each database, health,
metrics and last log lines of a running service (where \`addr\` is set), and the names of the objects in each
destination. No data of
your databases is in it: look through it, then attach it to your report.

What cannot be collected is noted in the bundle. A file that exists is not overwritten.`,
  examples: [['stdb-replicate support-bundle /tmp/stdb-replicate.zip', 'before you report a problem']],
};

/** The loaded configuration, or what is wrong with it: a bundle is made all the same. */
async function tryLoad(session: Session, flags: Flags): Promise<LoadedConfig | Error> {
  try {
    return await loadForCommand(session, flags);
  } catch (error) {
    if (error instanceof ConfigurationError || error instanceof LocalFileError) return error;
    throw error;
  }
}

/** @throws UsageError where the file exists, LocalFileError */
async function writeNew(path: string, bytes: Uint8Array): Promise<void> {
  try {
    await using file = await open(path, 'wx', 0o600);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    }
  } catch (error) {
    if (systemCode(error) === 'EEXIST') {
      throw new UsageError(`${path} exists and is not overwritten`, {
        hint: 'Give another name, or remove that file.',
      });
    }
    throw localFileError('write', path, error);
  }
}

export function supportBundleCommand(session: Session): Command {
  const command = newCommand(session, facts, [
    configFileOption(),
    new Option(
      '--give-up-after <DURATION>',
      'Give up after so long without an answer of a store. Default: 10s.',
    ).default('10s'),
  ]);
  return act<Flags>(session, command, async (positionals, flags) => {
    checkPositionals(command, { min: 1, max: 1, what: 'FILE.zip' });
    const [name = ''] = positionals;
    if (!name.endsWith('.zip')) throw new UsageError(`${name} does not end in .zip`, { hint: helpHint(command) });
    const path = resolve(name);
    const giveUpAfterMs = parseDurationFlag('give-up-after', flags.giveUpAfter);
    const loaded = await tryLoad(session, flags);
    const { io } = session;
    const files = await interruptible(io, { message: `stopped: ${path} was not written` }, (signal) =>
      collectBundle(session, loaded, { giveUpAfterMs, signal }),
    );
    const bytes = zipSync(Object.fromEntries([...files].map(([file, text]) => [file, strToU8(text)])));
    await writeNew(path, bytes);
    const listed = [...files].map(([file, text]) => `  ${file.padEnd(24)}  ${humanBytes(Buffer.byteLength(text))}`);
    await writeText(io.stderr, `wrote ${path} (${humanBytes(bytes.byteLength)})\n${listed.join('\n')}\n`);
    return EXIT.ok;
  });
}
