/** What one run of the program shares between `main` and the command that it chose. */
import { defaultConfigPath, type LoadedConfig, loadConfigWithOrigins } from '../config/load.ts';
import type { Config, DatabaseArgument } from '../config/config.ts';
import type { OperatorLog } from '../daemon/open-log.ts';
import type { Io, OutputStream } from './io.ts';

export interface Session {
  readonly io: Io;
  readonly version: string;
  /** What a command returns. */
  exitCode: number;
  /** Values of flags that are options of the configuration, by name. */
  flags: Readonly<Record<string, string | undefined>>;
}

export interface LoadForCommand {
  /** `-config`; undefined: the default file. */
  readonly config?: string | undefined;
  /** Databases from the arguments: then no file is read unless one is named. */
  readonly dbs?: readonly DatabaseArgument[];
  /** Whether the command needs no file at all. */
  readonly fileless?: boolean;
}

/** @throws ConfigurationError, LocalFileError */
export function loadForCommand(
  session: Session,
  { config, dbs, fileless = false }: LoadForCommand,
): Promise<LoadedConfig> {
  const { io, flags } = session;
  const path = config ?? (fileless ? null : defaultConfigPath(io.env));
  return loadConfigWithOrigins({ path, env: io.env, flags, ...(dbs ? { dbs } : {}) });
}

/** The log on stderr, or on what stands for it; NO_COLOR (no-color.org) is honoured. */
export async function openSessionLog(
  { io }: Session,
  { log: options }: Config,
  stream: OutputStream = io.stderr,
): Promise<OperatorLog> {
  const { openLog } = await import('../daemon/open-log.ts');
  return openLog({ ...options, stream, ...(io.env['NO_COLOR'] ? { color: false } : {}) });
}
