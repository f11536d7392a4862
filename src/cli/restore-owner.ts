/** Whose restored files are to be, as flags say it. */
import { UsageError } from '../core/errors.ts';

/** One less than the number that means "no change" to chown(2). */
const ID_MAX = 0xffff_fffe;
const ID = /^\d{1,10}$/;
const MODE = /^0?[0-7]{3}$/;
const WHOLE_OWNER = 0o700;

/** @throws UsageError */
export function parseOwnerId(flag: 'uid' | 'gid', text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const id = ID.test(text) ? Number(text) : Number.NaN;
  if (id <= ID_MAX) return id;
  throw new UsageError(`-${flag}: ${JSON.stringify(text)} is no numeric id`, {
    hint: 'Names are not looked up: `id NAME` tells the numbers.',
  });
}

/** Of directories. @throws UsageError */
export function parseMode(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const mode = MODE.test(text) ? Number.parseInt(text, 8) : 0;
  if ((mode & WHOLE_OWNER) === WHOLE_OWNER) return mode;
  throw new UsageError(`-mode: ${JSON.stringify(text)} is no mode of a directory that its owner can use`, {
    hint: 'Write three octal digits, the first one 7: 0750.',
  });
}
