/** Help texts, laid out the same for all commands. */
import type { Command, Option } from 'commander';

export interface HelpFacts {
  /** What follows the command's own name in the usage line. */
  readonly usage: string;
  /** Paragraphs, with an empty line between them. Their lines are broken anew for the terminal. */
  readonly description: string;
  /** What is typed, and what it is for. */
  readonly examples: readonly (readonly [command: string, purpose: string])[];
}

const TERM_COLUMNS_MAX = 30;
/** Longer lines are hard to read, however wide the terminal is. */
const WIDTH_MAX = 100;
const WIDTH_MIN = 40;
/** Where no terminal tells. */
const WIDTH_DEFAULT = 80;

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

const wrapParagraphs = (text: string, width: number): string =>
  text
    .split(/\n{2,}/)
    .map((paragraph) => wrapText(paragraph.trim().replaceAll(/\s+/g, ' '), width).join('\n'))
    .join('\n\n');

function formatRows(rows: readonly (readonly [term: string, text: string])[], width: number): string[] {
  const columns = Math.min(TERM_COLUMNS_MAX, Math.max(...rows.map(([term]) => term.length)));
  return rows.flatMap(([term, text]) => {
    const [first = '', ...others] = wrapText(text, width - columns - 4);
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

/** @param terminalColumns of the terminal, where there is one */
export function formatHelp(
  command: Command,
  { usage, description, examples }: HelpFacts,
  terminalColumns = WIDTH_DEFAULT,
): string {
  const width = Math.min(WIDTH_MAX, Math.max(WIDTH_MIN, terminalColumns));
  const commands = command.commands.map((sub) => [sub.name(), sub.summary()] as const);
  const flags = command.options
    .filter(({ hidden }) => !hidden)
    .map((option) => [flagTerm(option), option.description] as const);
  const lines = [
    `Usage: ${fullName(command)} ${usage}`,
    '',
    wrapParagraphs(description, width),
    ...section('Commands', formatRows(commands, width)),
    ...section('Flags', formatRows([...flags, ['-help', 'Show this text.']], width)),
    ...section(
      'Examples',
      examples.flatMap(([typed, purpose]) => [`  # ${purpose}`, `  ${typed}`]),
    ),
  ];
  return `${lines.join('\n')}\n`;
}
