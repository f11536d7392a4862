/** How the program is started: with the options of node that its own first line names, as an installed one is. */
import { readFileSync } from 'node:fs';

const FIRST_LINE = /^#!\/usr\/bin\/env -S node(.*)$/m;

/** @param program the built program, dist/bin.js */
export function programCommand(program: string, nodeArguments: readonly string[] = []): [string, ...string[]] {
  const options = FIRST_LINE.exec(readFileSync(program, 'utf8'))?.[1] ?? '';
  return [process.execPath, ...options.split(' ').filter((word) => word !== ''), ...nodeArguments, program];
}
