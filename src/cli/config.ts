/** `config check | print | schema | reference` */
import type { Command } from 'commander';
import { formatReference } from '../config/example.ts';
import { configJsonSchema } from '../config/json-schema.ts';
import { formatConfig } from '../config/print.ts';
import { act, type CommandFacts, checkPositionals, configFileOption, newCommand } from './command.ts';
import { writeText } from './io.ts';
import { loadForCommand, type Session } from './session.ts';

interface Flags {
  readonly config?: string;
}

const checkFacts: CommandFacts = {
  name: 'check',
  summary: 'Say whether the configuration is right.',
  usage: '[flags]',
  description: `Reads the configuration as \`replicate\` would, with the environment and flags applied, and lists the problems
with their lines and columns. Asks no store and touches no database. Exit code 2 where something is wrong.`,
  examples: [['stdb-replicate config check -config replicate.yml', 'before a restart']],
};

const printFacts: CommandFacts = {
  name: 'print',
  summary: 'Print the configuration that is in force.',
  usage: '[flags]',
  description: `Prints every option with its value and where that came from: default, file, environment or flag. Secrets are left out.`,
  examples: [['stdb-replicate config print', 'what would a restart use?']],
};

const schemaFacts: CommandFacts = {
  name: 'schema',
  summary: 'Print the JSON Schema of the configuration.',
  usage: '[flags]',
  description: 'Prints the JSON Schema of the configuration file, for editors.',
  examples: [['stdb-replicate config schema > replicate.schema.json', 'for an editor']],
};

const referenceFacts: CommandFacts = {
  name: 'reference',
  summary: 'Print a table of all options.',
  usage: '[flags]',
  description: 'Prints a table of all options in Markdown: default, environment variable, flag and meaning.',
  examples: [['stdb-replicate config reference', 'what can be set?']],
};

/** A subcommand that prints what `make` gives and takes no arguments. */
function printing(session: Session, facts: CommandFacts, make: (flags: Flags) => string | Promise<string>): Command {
  const options = facts === checkFacts || facts === printFacts ? [configFileOption()] : [];
  const command = newCommand(session, facts, options);
  return act<Flags>(session, command, async (_positionals, flags) => {
    checkPositionals(command, { min: 0, max: 0, what: 'no arguments' });
    await writeText(session.io.stdout, await make(flags));
    return 0;
  });
}

export function configCommand(session: Session): Command {
  const check = printing(session, checkFacts, async (flags) => {
    const { config, file } = await loadForCommand(session, flags);
    const databases = config.dbs.length === 1 ? '1 database' : `${config.dbs.length} databases`;
    return `${file}: right (${databases})\n`;
  });
  const print = printing(session, printFacts, async (flags) => {
    const { config, file, origins } = await loadForCommand(session, flags);
    return `# ${file}\n${formatConfig(config, { origins })}`;
  });
  const schema = printing(session, schemaFacts, () => `${JSON.stringify(configJsonSchema(), null, 2)}\n`);
  const reference = printing(session, referenceFacts, formatReference);
  const group = newCommand(session, {
    name: 'config',
    summary: 'Check or print the configuration, or its schema.',
    usage: 'check | print | schema | reference [flags]',
    description:
      'What concerns the configuration file. `replicate.yml.example` holds every option with what it is for.',
    examples: [
      ['stdb-replicate config check', 'is /etc/stdb-replicate.yml right?'],
      ['stdb-replicate config print', 'what is in force, and where does it come from?'],
    ],
  });
  for (const command of [check, print, schema, reference]) group.addCommand(command);
  return group;
}
