/** Help texts, laid out the same for all commands. */
import type { Command, Option } from 'commander';

export interface HelpFacts {
  /** What follows the command's own name in the usage line. */
  readonly usage: string;
  /** Paragraphs; lines are kept as they are. */
  readonly description: string;
  /** What is typed, and what it is for. */
  readonly examples: readonly (readonly [command: string, purpose: string])[];
}

const TERM_COLUMNS_MAX = 30;
const WIDTH = 110;

/** `-if-db-not-exists`, `-o DIR`. */
export function flagTerm(option: Option): string {
  const name = (option.long ?? option.short ?? '').replace(/^--?/, '-');
  const value = /<(.+)>/.exec(option.flags)?.[1];
  return value === undefined ? name : `${name} ${value}`;
}

function wrapText(text: string, width: number): string[] {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1) ?? '';
    if (line === '') lines[lines.length - 1] = word;
    else if (line.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = `${line} ${word}`;
  }
  return lines;
}

function formatRows(rows: readonly (readonly [term: string, text: string])[]): string[] {
  const columns = Math.min(TERM_COLUMNS_MAX, Math.max(...rows.map(([term]) => term.length)));
  return rows.flatMap(([term, text]) => {
    const [first = '', ...others] = wrapText(text, WIDTH - columns - 4);
    const indent = ' '.repeat(columns + 4);
    const head = term.length > columns ? [`  ${term}`, `${indent}${first}`] : [`  ${term.padEnd(columns)}  ${first}`];
    return [...head, ...others.map((line) => indent + line)];
  });
}

function fullName(command: Command): string {
  return command.parent ? `${fullName(command.parent)} ${command.name()}` : command.name();
}

const section = (title: string, lines: readonly string[]): string[] =>
  lines.length === 0 ? [] : ['', `${title}:`, ...lines];

export function formatHelp(command: Command, { usage, description, examples }: HelpFacts): string {
  const commands = command.commands.map((sub) => [sub.name(), sub.summary()] as const);
  const flags = command.options
    .filter(({ hidden }) => !hidden)
    .map((option) => [flagTerm(option), option.description] as const);
  const lines = [
    `Usage: ${fullName(command)} ${usage}`,
    '',
    description,
    ...section('Commands', formatRows(commands)),
    ...section('Flags', formatRows([...flags, ['-help', 'Show this text.']])),
    ...section(
      'Examples',
      examples.flatMap(([typed, purpose]) => [`  # ${purpose}`, `  ${typed}`]),
    ),
  ];
  return `${lines.join('\n')}\n`;
}
