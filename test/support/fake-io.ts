/** The program's world without a process: what it is given, and what it said. */
import { type Io, main } from '../../src/cli/main.ts';

export interface RanMain {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunMainOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Whether stderr is a terminal. */
  readonly isTTY?: boolean;
  /** Called with each text on stderr and with what sends a signal. */
  readonly onStderr?: (text: string, send: (signal: NodeJS.Signals) => void) => void;
}

/** Runs the command line in this process. `exit` is an error here: nothing may end the process of a test. */
export async function runMain(
  argv: readonly string[],
  { env = {}, isTTY = false, onStderr }: RunMainOptions = {},
): Promise<RanMain> {
  const handlers = new Set<(signal: NodeJS.Signals) => void>();
  const said = { stdout: '', stderr: '' };
  const send = (signal: NodeJS.Signals): void => {
    for (const handler of handlers) handler(signal);
  };
  const stream = (name: keyof typeof said, terminal: boolean): Io['stdout'] => ({
    isTTY: terminal,
    columns: 100,
    write(text, written) {
      said[name] += text;
      written?.();
      if (name === 'stderr') onStderr?.(text, send);
      return true;
    },
  });
  const io: Io = {
    argv,
    env: { AWS_EC2_METADATA_DISABLED: 'true', ...env },
    stdout: stream('stdout', false),
    stderr: stream('stderr', isTTY),
    signals: {
      onSignal(handler) {
        handlers.add(handler);
        return () => handlers.delete(handler);
      },
    },
    exit: (code) => {
      throw new Error(`exit ${code}`);
    },
    versions: { node: '24.0.0', zstd: '1.5.7' },
  };
  return { code: await main(io), ...said };
}
