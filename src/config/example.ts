/** `replicate.yml.example`: every key of this release, with what it is for. Made from the declarations. */
import { stringify } from 'yaml';
import {
  type DeclaredOption,
  declaredOptions,
  findDeclared,
  formatOptionPath,
  isSingle,
  type OptionPath,
} from './declared.ts';

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

const isNoted = (path: OptionPath): boolean => findDeclared(path)?.facts.defaultNote !== undefined;

/** What has no fixed default is shown commented out, with all that is in it. */
const isOptional = ({ path }: DeclaredOption): boolean => path.some((_, index) => isNoted(path.slice(0, index + 1)));

/** Spaces before a key: two for each mapping and list around it. */
const indentOf = (path: OptionPath): string => '  '.repeat(path.length - 1);

const scalar = (value: unknown): string =>
  Array.isArray(value) ? `[${value.map(scalar).join(', ')}]` : stringify(value, { lineWidth: 0 }).trimEnd();

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
  const line = firstOfItem ? `${indent.slice(2)}- ${key}:${value}` : `${indent}${key}:${value}`;
  if (!isOptional(declared)) return [...comment, line];
  // Taking out the first "# " of each such line makes YAML of it.
  const outer = indentOf(path.slice(0, path.findIndex((_, index) => isNoted(path.slice(0, index + 1))) + 1));
  return [...comment, `${outer}# ${line.slice(outer.length)}`];
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
    .filter((declared) => isSingle(declared) || declared.kind === 'texts')
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
