/** `replicate.yml.example`: every key of this release, with what it is for. Made from the declarations. */
import { stringify } from 'yaml';
import { type DeclaredOption, declaredOptions, findDeclared, formatOptionPath, type OptionPath } from './declared.ts';

const COMMENT_WIDTH = 116;

const HEADER = `Configuration of stdb-replicate. The defaults stand here: a file needs no more than \`dbs\`.
Unknown keys are refused. \${NAME} takes the value of an environment variable; write $\${ for a literal \${.
\`stdb-replicate config check\` says whether a file is right, \`config print\` what is in force.`;

function wrap(text: string, indent: string): string[] {
  const lines = [''];
  for (const word of text.split(/\s+/)) {
    const line = lines.at(-1) ?? '';
    if (line !== '' && indent.length + line.length + 1 + word.length > COMMENT_WIDTH) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines.map((line) => `${indent}# ${line}`);
}

const isOptional = ({ facts }: DeclaredOption): boolean => facts.defaultNote !== undefined;

/** Spaces before a key: two for each mapping and list around it. */
const indentOf = (path: OptionPath): string => '  '.repeat(path.length - 1);

const scalar = (value: unknown): string => stringify(value, { lineWidth: 0 }).trimEnd();

/** An option's own default, or for an option of list items what the list holds by default; undefined without one. */
function defaultOf({ path, defaultValue }: DeclaredOption): unknown {
  if (defaultValue !== undefined || path.at(-2) !== '[]') return defaultValue;
  const list = findDeclared(path.slice(0, -2))?.defaultValue;
  const first: unknown = Array.isArray(list) ? list[0] : undefined;
  return typeof first === 'object' && first !== null
    ? new Map(Object.entries(first)).get(String(path.at(-1)))
    : undefined;
}

function formatOption(declared: DeclaredOption, firstOfItem: boolean): string[] {
  const { path, facts, kind } = declared;
  const indent = indentOf(path);
  const key = String(path.at(-1));
  const note = facts.defaultNote === undefined ? '' : ` Without it: ${facts.defaultNote}.`;
  const comment = wrap(`${facts.description}${note}`, indent);
  const value = kind === 'section' || kind === 'list' ? '' : ` ${scalar(defaultOf(declared) ?? facts.example)}`;
  const line = `${key}:${value}`;
  if (isOptional(declared)) return [...comment, `${indent}# ${line}`];
  return [...comment, firstOfItem ? `${indent.slice(2)}- ${line}` : `${indent}${line}`];
}

export function formatExample(): string {
  const lines = HEADER.split('\n').map((line) => `# ${line}`);
  let previous: DeclaredOption | null = null;
  for (const declared of declaredOptions) {
    if (declared.path.length === 1) lines.push('');
    lines.push(...formatOption(declared, declared.path.at(-2) === '[]' && previous?.kind === 'list'));
    previous = declared;
  }
  return `${lines.join('\n')}\n`;
}

/** A table of all options, as Markdown. */
export function formatReference(): string {
  const rows = declaredOptions
    .filter(({ kind }) => kind === 'text' || kind === 'number')
    .map((declared) => {
      const { path, facts, environmentName } = declared;
      const name = formatOptionPath(path);
      const standard = defaultOf(declared);
      const value = standard === undefined ? (facts.defaultNote ?? 'required') : `\`${scalar(standard)}\``;
      const elsewhere = [
        environmentName === null ? '' : `\`${environmentName}\``,
        facts.flag === undefined ? '' : `\`-${facts.flag}\``,
      ];
      return `| \`${name}\` | ${value} | ${elsewhere.filter(Boolean).join(', ')} | ${facts.description} |`;
    });
  return ['| option | default | also as | what it is |', '|---|---|---|---|', ...rows, ''].join('\n');
}
