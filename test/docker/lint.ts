/** What our images promise, as findings over a parsed Dockerfile. */
import { type Dockerfile, type Instruction, type Stage, parseDockerfile } from './dockerfile.ts';

const named = (stage: Stage, name: string): Instruction[] =>
  stage.instructions.filter((instruction) => instruction.name === name);

const lastNamed = (stage: Stage, name: string): string => named(stage, name).at(-1)?.text ?? '';

function isExecForm(text: string): boolean {
  try {
    const parts: unknown = JSON.parse(text);
    return Array.isArray(parts) && parts.length > 0 && parts.every((part) => typeof part === 'string');
  } catch {
    // Not JSON: the shell form.
    return false;
  }
}

const LABELS = ['title', 'description', 'licenses', 'version'];

interface Check {
  readonly finding: string;
  readonly holds: (file: Dockerfile, last: Stage) => boolean;
}

const CHECKS: readonly Check[] = [
  {
    finding: 'a syntax line makes the builder pull an image',
    holds: ({ directives }) => !directives.includes('syntax'),
  },
  {
    finding: 'the base is an argument with node:24-bookworm-slim as its default',
    holds: ({ globals }) => globals.some(({ name, text }) => name === 'ARG' && text === 'BASE=node:24-bookworm-slim'),
  },
  {
    finding: 'every stage begins at the base',
    holds: ({ stages }) => stages.every(({ base }) => base === '${BASE}'),
  },
  { finding: 'building and running are separate stages', holds: ({ stages }) => stages.length > 1 },
  {
    finding: 'packages come from the lock file alone',
    holds: ({ stages }) =>
      stages.flatMap((stage) => named(stage, 'RUN')).every(({ text }) => !/\bnpm (i|install|update)\b/.test(text)),
  },
  {
    finding: 'modules of the image are production dependencies',
    holds: ({ stages }, last) => {
      const from = named(last, 'COPY').find(({ text }) => text.includes('node_modules'))?.text;
      const source = /--from=(\S+)/.exec(from ?? '')?.[1];
      const stage = stages.find(({ name }) => name === source);
      return stage !== undefined && named(stage, 'RUN').some(({ text }) => text === 'npm ci --omit=dev');
    },
  },
  { finding: 'the last stage runs nothing', holds: (_, last) => named(last, 'RUN').length === 0 },
  { finding: 'the last stage copies no whole context', holds: (_, last) => !/(^| )\.\/? /m.test(copied(last)) },
  {
    finding: 'the user is a number, and not root',
    holds: (_, last) => /^[1-9]\d*:[1-9]\d*$/.test(lastNamed(last, 'USER')),
  },
  {
    finding: 'the health check asks /livez, in exec form',
    holds: (_, last) => {
      const text = lastNamed(last, 'HEALTHCHECK');
      return isExecForm(text.slice(text.indexOf('CMD ') + 4)) && lastNamed(last, 'ENV').includes('/livez');
    },
  },
  { finding: 'the entry point is in exec form', holds: (_, last) => isExecForm(lastNamed(last, 'ENTRYPOINT')) },
  {
    finding: 'the command is in exec form',
    holds: (_, last) => named(last, 'CMD').every(({ text }) => isExecForm(text)),
  },
  {
    finding: 'the image says what it is',
    holds: (_, last) => LABELS.every((key) => lastNamed(last, 'LABEL').includes(`org.opencontainers.image.${key}=`)),
  },
  {
    finding: 'no volume, secret or download',
    holds: ({ stages }) =>
      stages
        .flatMap(({ instructions }) => instructions)
        .every(
          ({ name, text }) =>
            name !== 'VOLUME' && name !== 'ADD' && !/(password|token|secret|_key)\s*=|curl |wget /i.test(text),
        ),
  },
];

const copied = (stage: Stage): string =>
  named(stage, 'COPY')
    .map(({ text }) => text.replace(/--from=\S+ /, ''))
    .join('\n');

export const FINDINGS: readonly string[] = CHECKS.map(({ finding }) => finding);

/** The promises that `text` breaks. */
export function lintDockerfile(text: string): string[] {
  const file = parseDockerfile(text);
  const last = file.stages.at(-1);
  if (last === undefined) return ['it has no stage'];
  return CHECKS.filter(({ holds }) => !holds(file, last)).map(({ finding }) => finding);
}
