/** How commands are declared: their flags, their help, and the words for a wrong command line. */
import { Command, type CommanderError, Option } from 'commander';
import { declaredOptions } from '../config/declared.ts';
import { didYouMean } from '../config/problem.ts';
import { UsageError } from '../core/errors.ts';
import type { FlagTable } from './argv.ts';
import { flagTerm, formatHelp, type HelpFacts } from './help.ts';
import type { Session } from './session.ts';

export interface CommandFacts extends HelpFacts {
  readonly name: string;
  /** For the list of commands. */
  readonly summary: string;
}

/** An option of the configuration that is also a flag; its words are those of its declaration. */
export function configFlag(name: string, value: string): Option {
  const declared = declaredOptions.find(({ facts }) => facts.flag === name);
  if (!declared) throw new Error(`no option of the configuration has the flag ${name}`);
  const standard = typeof declared.defaultValue === 'string' ? ` Default: ${declared.defaultValue}.` : '';
  return new Option(`--${name} <${value}>`, declared.facts.description + standard);
}

export const configFileOption = (): Option =>
  new Option('--config <FILE>', 'The configuration. Default: STDB_REPLICATE_CONFIG, else /etc/stdb-replicate.yml.');

/** Flags that every command knows. */
const globalOptions = (): Option[] => [configFlag('log-level', 'LEVEL'), configFlag('log-format', 'auto|pretty|json')];

const nameOf = (command: Command): string =>
  command.parent?.parent ? `${nameOf(command.parent)} ${command.name()}` : command.name();

/** Where the help of a command is found. */
export const helpHint = (command: Command): string =>
  command.parent
    ? `\`stdb-replicate ${nameOf(command)} -help\` shows how it is used.`
    : '`stdb-replicate -help` lists the commands.';

/** What other programs for backups call our commands. */
const ELSEWHERE: ReadonlyMap<string, string> = new Map([
  ['status', 'databases'],
  ['backup', 'replicate'],
  ['recover', 'restore'],
  ['check', 'verify'],
  ['wal', 'log'],
  ['ltx', 'log'],
]);

function describe(error: CommanderError, command: Command): string {
  const quoted = /'([^']*)'/.exec(error.message)?.[1] ?? '';
  const of = command.parent ? ` for ${nameOf(command)}` : '';
  switch (error.code) {
    case 'commander.unknownOption': {
      const name = quoted.replace(/=.*$/s, '').replace(/^--?/, '');
      const known = command.options.map((option) => flagTerm(option).replace(/^-| .*$/g, ''));
      if (known.includes(name)) return `-${name} is a switch and takes no value but true and false`;
      const nearest = didYouMean(name, known).replace(/mean (.*)\?/, 'mean -$1?');
      return `unknown flag -${name}${of}${nearest}`;
    }
    case 'commander.unknownCommand': {
      const known = command.commands.map((each) => each.name());
      const elsewhere = ELSEWHERE.get(quoted);
      return `unknown command ${JSON.stringify(quoted)}${
        elsewhere !== undefined && known.includes(elsewhere)
          ? `, did you mean ${elsewhere}?`
          : didYouMean(quoted, known)
      }`;
    }
    case 'commander.optionMissingArgument': {
      const [flag = '', value = ''] = quoted.replace(/^--?/, '-').split(/[ <>]+/);
      return `${flag} needs a value (${flag} ${value})`;
    }
    default:
      return error.message.replace(/^error: /, '');
  }
}

/** A command whose mistakes are UsageErrors, with the global flags. */
export function newCommand({ io }: Session, facts: CommandFacts, options: readonly Option[] = []): Command {
  const command = new Command(facts.name)
    .summary(facts.summary)
    .helpOption('-h, --help')
    .helpCommand(false)
    .allowExcessArguments()
    .enablePositionalOptions()
    .showSuggestionAfterError(false)
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
      outputError: () => undefined,
    })
    .configureHelp({ formatHelp: (own) => formatHelp(own, facts, io.stdout.columns) })
    .exitOverride((error) => {
      if (error.exitCode === 0 || error.code === 'commander.help') throw error;
      throw new UsageError(describe(error, command), { hint: helpHint(command) });
    });
  for (const option of [...options, ...globalOptions()]) command.addOption(option);
  return command;
}

/** What `rewriteArgv` must know of a command and those in it. */
export function flagTableOf(command: Command): FlagTable {
  const flags = new Map<string, 'value' | 'switch'>([
    ['help', 'switch'],
    ['h', 'switch'],
  ]);
  for (const { long, short, required } of command.options) {
    for (const name of [long, short]) if (name) flags.set(name.replace(/^--?/, ''), required ? 'value' : 'switch');
  }
  return { flags, commands: new Map(command.commands.map((sub) => [sub.name(), flagTableOf(sub)])) };
}

/** Runs `work` with the command's positionals and flags; what it gives is the exit code. */
export function act<Flags extends object>(
  session: Session,
  command: Command,
  work: (positionals: readonly string[], flags: Flags) => Promise<number>,
): Command {
  return command.action(async () => {
    const flags = command.opts<Flags & Record<string, unknown>>();
    // Before the command's name they are the root's.
    const all = new Map(Object.entries({ ...command.parent?.parent?.opts(), ...command.parent?.opts(), ...flags }));
    session.flags = Object.fromEntries(
      declaredOptions.flatMap(({ facts: { flag } }) => {
        const value: unknown =
          flag === undefined
            ? undefined
            : all.get(flag.replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase()));
        return flag !== undefined && typeof value === 'string' ? [[flag, value]] : [];
      }),
    );
    session.exitCode = await work(command.args, flags);
  });
}

/** @throws UsageError where there are more positionals than the command has use for */
export function checkPositionals(
  command: Command,
  wanted: { readonly min: number; readonly max: number; readonly what: string },
): void {
  const { length } = command.args;
  if (length >= wanted.min && length <= wanted.max) return;
  const given = length === 0 ? 'none was given' : `${length} were given: ${command.args.join(' ')}`;
  throw new UsageError(
    `${nameOf(command)} takes ${wanted.what}; ${length === 1 ? `only ${command.args[0]} was given` : given}`,
    {
      hint: helpHint(command),
    },
  );
}
