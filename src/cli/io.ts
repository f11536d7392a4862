/** All that a command has of the world outside of files and stores. `bin.ts` makes the real one, tests make theirs. */

export interface OutputStream {
  write(text: string, written?: (error?: Error | null) => void): unknown;
  readonly isTTY?: boolean | undefined;
  /** Width of the terminal. */
  readonly columns?: number | undefined;
}

export interface Io {
  /** Without the program and the script. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Data. */
  readonly stdout: OutputStream;
  /** Logs, progress and errors. */
  readonly stderr: OutputStream;
  readonly stdin?: { readonly isTTY?: boolean | undefined };
  readonly signals: {
    /**
     * Calls `handler` at each of these signals, by default SIGINT and SIGTERM, which then do not end the process. Gives
     * what undoes it.
     */
    onSignal(handler: (signal: NodeJS.Signals) => void, names?: readonly NodeJS.Signals[]): () => void;
  };
  /** Ends the process at once, whatever it is doing. */
  exit(code: number): never;
  /** Of the runtime and the libraries in it: `node`, `zstd`, `openssl`. */
  readonly versions?: Readonly<Record<string, string | undefined>>;
}

/** Resolves once the stream has taken the text, so that the end of the process loses none of it. */
export function writeText(stream: OutputStream, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(text, (error) => {
      // A reader that went away (`| head`) wanted no more: that is no failure.
      if (error && 'code' in error && error.code !== 'EPIPE') reject(error);
      else resolve();
    });
  });
}

/** As `writeText`, and tells whether the reader is still there. */
export function tryWriteText(stream: OutputStream, text: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    stream.write(text, (error) => {
      const code = error && 'code' in error ? error.code : null;
      if (error && code !== 'EPIPE' && code !== 'ERR_STREAM_DESTROYED') reject(error);
      else resolve(!error);
    });
  });
}

/** The one document that `-json` prints. */
export const writeJson = (stream: OutputStream, document: Readonly<Record<string, unknown>>): Promise<void> =>
  writeText(stream, `${JSON.stringify({ format: 1, ...document }, jsonValue, 2)}\n`);

/** Offsets and times are given as text by whoever makes the document; a stray u64 is digits, not a failure. */
const jsonValue = (_name: string, value: unknown): unknown => (typeof value === 'bigint' ? value.toString() : value);
