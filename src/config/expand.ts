/** `${NAME}` in text becomes the value of that environment variable; `$${` is a literal `${`. */

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Expansion {
  readonly text: string;
  /** Whether a variable was put in. */
  readonly expanded: boolean;
  readonly problems: readonly string[];
}

const REFERENCE = /\$\$\{|\$\{([^}]*)(\}?)/g;
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

export function expandVariables(text: string, environment: Environment): Expansion {
  const problems: string[] = [];
  let expanded = false;
  const result = text.replace(REFERENCE, (whole, name: string | undefined, end: string | undefined) => {
    if (name === undefined) return '${';
    if (end === '') problems.push('"${" without "}": write $${ for a literal ${');
    else if (!NAME.test(name))
      problems.push(`"${whole}" names no variable: only \${NAME} is expanded, write $\${ for a literal \${`);
    else {
      const value = environment[name];
      if (value !== undefined) {
        expanded = true;
        return value;
      }
      problems.push(`the environment variable ${name} is not set`);
    }
    return whole;
  });
  return { text: result, expanded, problems };
}
