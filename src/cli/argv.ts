/**
 * Go's habit of flags for a parser that knows GNU's: `-name value`, `-name=value`, `--name value` and `--name=value` are
 * alike, before or after positionals. Pure: arguments in, arguments out.
 */

export interface FlagTable {
  /** Declared names without dashes; whether each takes a value. */
  readonly flags: ReadonlyMap<string, 'value' | 'switch'>;
  readonly commands: ReadonlyMap<string, FlagTable>;
}

const FLAG = /^--?([^-=][^=]*)(?:=([^]*))?$/;

/** `-o` for a name of one letter, else `--name`. */
const spell = (name: string): string => (name.length === 1 ? `-${name}` : `--${name}`);

/** One flag that carries its value, or its `true` or `false`, behind `=`. */
function spellWithValue(name: string, value: string, kind: 'value' | 'switch' | undefined): string[] {
  if (kind === 'switch' && value === 'true') return [spell(name)];
  if (kind === 'switch' && value === 'false') return [];
  // A parser of short flags would take `=` for the first letter of the value.
  return kind === 'value' && name.length === 1 ? [spell(name), value] : [`--${name}=${value}`];
}

/**
 * Nothing after `--` is touched, and no token that is the value of a flag before it. Undeclared flags are spelled as
 * long ones too, so that the parser names them whole instead of taking them for a row of short ones.
 */
export function rewriteArgv(argv: readonly string[], root: FlagTable): string[] {
  let table = root;
  const rewritten: string[] = [];
  for (let index = 0; index < argv.length; index += 1) {
    const token = argv[index] ?? '';
    if (token === '--') return [...rewritten, ...argv.slice(index)];
    const [, name, value] = FLAG.exec(token) ?? [];
    if (name === undefined) {
      rewritten.push(token);
      table = table.commands.get(token) ?? table;
      continue;
    }
    const kind = table.flags.get(name);
    if (value !== undefined) {
      rewritten.push(...spellWithValue(name, value, kind));
      continue;
    }
    rewritten.push(spell(name));
    const next = argv[index + 1];
    if (kind === 'value' && next !== undefined) {
      rewritten.push(next);
      index += 1;
    }
  }
  return rewritten;
}
