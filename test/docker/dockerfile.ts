/** A reader of Dockerfiles, as far as the lint needs one: instructions by stage, continuation lines joined. */

export interface Instruction {
  /** Upper case. */
  readonly name: string;
  readonly text: string;
}

export interface Stage {
  readonly name: string | null;
  readonly base: string;
  readonly instructions: readonly Instruction[];
}

export interface Dockerfile {
  /** `# key=value` lines at the top, which change how the file is read. */
  readonly directives: readonly string[];
  /** Before the first FROM. */
  readonly globals: readonly Instruction[];
  readonly stages: readonly Stage[];
}

export function parseDockerfile(text: string): Dockerfile {
  const lines = text.split('\n');
  const directives: string[] = [];
  for (const line of lines) {
    const directive = /^#\s*(\w+)\s*=/.exec(line)?.[1];
    if (directive === undefined) break;
    directives.push(directive);
  }
  const joined = lines
    .filter((line) => !/^\s*(#|$)/.test(line))
    .join('\n')
    .replaceAll(/\\\n\s*/g, '');
  const globals: Instruction[] = [];
  const stages: { name: string | null; base: string; instructions: Instruction[] }[] = [];
  for (const line of joined.split('\n').filter((each) => each !== '')) {
    const [word = '', ...rest] = line.trim().split(/\s+/);
    const instruction = { name: word.toUpperCase(), text: rest.join(' ') };
    if (instruction.name === 'FROM') {
      const [base = '', as, name] = rest;
      stages.push({ base, name: as?.toUpperCase() === 'AS' ? (name ?? null) : null, instructions: [] });
    } else (stages.at(-1)?.instructions ?? globals).push(instruction);
  }
  return { directives, globals, stages };
}
