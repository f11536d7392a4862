/**
 * Whether the program of `-exec` can be started, found out before anything is begun: a slip in its name must not cost a
 * restore and a whole sync first. Looked for as execvp(3) does, which starts it later.
 *
 * Not responsible for: whether it runs. An interpreter or a library that it lacks shows when it is started.
 */
import { access, constants, stat } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';
import { ConfigurationError, systemCode } from '../core/errors.ts';

/** `absent`: also where a part of the path is no directory. */
type Look = 'executable' | 'directory' | 'forbidden' | 'absent';

const WHY = {
  directory: 'it is a directory',
  forbidden: 'this user may not execute it',
  absent: 'there is no such file',
} as const;

async function lookAt(path: string): Promise<Look> {
  try {
    if ((await stat(path)).isDirectory()) return 'directory';
    await access(path, constants.X_OK);
    return 'executable';
  } catch (error) {
    return systemCode(error) === 'EACCES' ? 'forbidden' : 'absent';
  }
}

/** @param env of the server. @throws ConfigurationError */
export async function requireProgram(
  program: string,
  { env }: { readonly env: Readonly<Record<string, string | undefined>> },
): Promise<void> {
  if (program.includes('/')) {
    const look = await lookAt(resolve(program));
    if (look !== 'executable') throw notStartable(program, WHY[look]);
    return;
  }
  const { PATH: path } = env;
  // Then the system has a path of its own.
  if (path === undefined) return;
  let forbidden: string | null = null;
  for (const directory of path.split(delimiter)) {
    const found = join(resolve(directory), program);
    const look = await lookAt(found);
    if (look === 'executable') return;
    if (look === 'forbidden') forbidden ??= found;
  }
  throw notStartable(program, forbidden === null ? 'no such program is on PATH' : `${forbidden}: ${WHY.forbidden}`);
}

const notStartable = (program: string, why: string): ConfigurationError =>
  new ConfigurationError(`${program} cannot be started: ${why}`, {
    hint: 'Check the command of -exec: the name of its program, PATH, and that this user may execute it. Nothing was begun.',
    facts: { program },
  });
