/**
 * The names of a server data directory's own files, beside its databases: text in, values out, no I/O.
 * Source: FORMAT.md, "Names".
 */
import { join } from 'node:path';
import { assert } from '../core/errors.ts';

/** Below a server data dir. */
export const CONFIG_FILE = 'config.toml';
/** A sled database: names, identities, which replica is which database's. */
export const CONTROL_DB_DIR = 'control-db';
/** Compiled modules, content-addressed. */
export const PROGRAM_BYTES_DIR = 'program-bytes';

const FIRST = /^[0-9a-f]{2}$/;
const REST = /^[0-9a-f]{62}$/;

export const isProgramDirName = (name: string): boolean => FIRST.test(name);

/** The hash that `program-bytes/<directory>/<name>` stands for; null for `….tmp<nanos>`, which is being written. */
export const parseProgramName = (directory: string, name: string): string | null =>
  FIRST.test(directory) && REST.test(name) ? directory + name : null;

/** `program-bytes/ab/cdef…`. `hash` is 64 lower-case hex digits: anything else is our bug. */
export function formatProgramPath(hash: string): string {
  assert(FIRST.test(hash.slice(0, 2)) && REST.test(hash.slice(2)), `no name of a program: ${JSON.stringify(hash)}`);
  return join(PROGRAM_BYTES_DIR, hash.slice(0, 2), hash.slice(2));
}
