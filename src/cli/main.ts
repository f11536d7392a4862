/**
 * The command line: arguments in, an exit code out.
 *
 * Responsible for: which command runs, what is said when it fails, and the exit code. Not responsible for: what a
 * command does.
 */
import { readFile } from 'node:fs/promises';
import { CommanderError } from 'commander';
import { EXIT } from '../core/errors.ts';
import { rewriteArgv } from './argv.ts';
import { flagTableOf } from './command.ts';
import type { Io } from './io.ts';
import { buildProgram } from './program.ts';
import { reportError } from './report-error.ts';
import type { Session } from './session.ts';

export type { Io } from './io.ts';

/** Of this package; beside `src` and `dist` alike. */
async function readVersion(): Promise<string> {
  const manifest: unknown = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'));
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest
    ? String(manifest.version)
    : 'unknown';
}

/** Stacks are shown at the level debug alone, wherever that was set before the configuration was read. */
function wantsStacks({ io }: Session, argv: readonly string[]): boolean {
  const at = argv.lastIndexOf('--log-level');
  const flag = argv.findLast((token) => token.startsWith('--log-level='))?.slice('--log-level='.length);
  return (flag ?? (at < 0 ? io.env['STDB_REPLICATE_LOG_LEVEL'] : argv[at + 1])) === 'debug';
}

/** As a flag alone it is what everybody tries first. */
const asksForVersion = (argv: readonly string[]): boolean =>
  argv.length === 1 && /^(--?version|-V)$/.test(argv[0] ?? '');

/** Never rejects for what a command did: that is told on stderr. */
export async function main(io: Io): Promise<number> {
  const session: Session = { io, version: await readVersion(), exitCode: EXIT.ok, flags: {} };
  const program = buildProgram(session);
  const argv = rewriteArgv(asksForVersion(io.argv) ? ['version'] : io.argv, flagTableOf(program));
  try {
    await program.parseAsync(argv, { from: 'user' });
    return session.exitCode;
  } catch (error) {
    // Help that was asked for is no failure; help in place of a missing command is.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    return reportError(io, error, { stacks: wantsStacks(session, argv) });
  }
}
