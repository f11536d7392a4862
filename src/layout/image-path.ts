/**
 * Paths that an image may name, relative to the server data directory: nothing else is ever stored or written, so that
 * no name from a store can become another path.
 */

/** Below the data directory. */
export const IMAGE_TOP_FILES = ['metadata.toml', 'config.toml'] as const;
export const CONTROL_DB = 'control-db';
/** Named extra files land here, wherever they came from. */
export const EXTRA = 'extra';
/** `control-db` itself counts. */
export const IMAGE_PATH_PARTS_MAX = 8;

const CONTROL_PART = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,254}$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it refuses
const EXTRA_NAME = /^[^\u0000-\u001f\u007f/\\]+$/u;
const EXTRA_BYTES_MAX = 255;
/** Unfinished files and directories of our own begin with it. */
const RESERVED = '.stdb-';

/** Whether a file or directory of this name in `control-db` belongs into an image. */
export const isControlName = (name: string): boolean => CONTROL_PART.test(name);

/** Whether an extra file may have this name: no slash, no control character, neither `.` nor `..` nor one of ours. */
export function isExtraName(name: string): boolean {
  const isDots = name === '.' || name === '..';
  const isText = EXTRA_NAME.test(name) && name.isWellFormed() && Buffer.byteLength(name) <= EXTRA_BYTES_MAX;
  return isText && !isDots && !name.startsWith(RESERVED);
}

function isBelowControl(parts: readonly string[], partsMin: number): boolean {
  const [top, ...rest] = parts;
  return (
    top === CONTROL_DB &&
    parts.length >= partsMin &&
    parts.length <= IMAGE_PATH_PARTS_MAX &&
    rest.every((part) => isControlName(part))
  );
}

/** `metadata.toml`, `config.toml`, `control-db/…` or `extra/<name>`. */
export function isImageFilePath(path: string): boolean {
  if (IMAGE_TOP_FILES.some((name) => name === path)) return true;
  const parts = path.split('/');
  if (parts[0] === EXTRA) return parts.length === 2 && isExtraName(parts[1] ?? '');
  return isBelowControl(parts, 2);
}

/** `control-db` and what lies below it. */
export const isImageDirectoryPath = (path: string): boolean => isBelowControl(path.split('/'), 1);
