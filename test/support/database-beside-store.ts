/** What most end-to-end tests begin with: a copy of a real database and an empty `file:` store, in a directory of their own. */
import { mkdir, writeFile } from 'node:fs/promises';
import { expect } from 'vitest';
import { copyVector, type ReplicaVector } from '../vectors/vectors.ts';
import { type ProgramOptions, type ProgramResult, runProgram } from './program.ts';
import { type TemporaryDirectory, temporaryDirectory } from './temporary-directory.ts';

export interface DatabaseBesideStore extends TemporaryDirectory {
  readonly database: string;
  readonly store: string;
  /** `file:` URL of the store. */
  readonly url: string;
  readonly restored: string;
}

/** @param vector null: the database does not exist yet */
export async function databaseBesideStore(vector: ReplicaVector | null = 'v2-small'): Promise<DatabaseBesideStore> {
  const directory = await temporaryDirectory();
  const database = directory.at('database');
  const store = directory.at('store');
  if (vector !== null) copyVector(vector, database);
  await mkdir(store);
  return { ...directory, database, store, url: `file://${store}`, restored: directory.at('restored') };
}

export interface ConfigFacts {
  readonly database: string;
  readonly url: string;
  /** More lines of YAML. */
  readonly more?: readonly string[];
}

/** Writes a configuration for one database. */
export async function writeConfig(path: string, { database, url, more = [] }: ConfigFacts): Promise<string> {
  const lines = [...more, 'dbs:', `  - path: ${database}`, '    replica:', `      url: ${url}`, ''];
  await writeFile(path, lines.join('\n'));
  return path;
}

/** Runs the program where it must succeed. */
export async function runWell(args: readonly string[], options?: ProgramOptions): Promise<ProgramResult> {
  const result = await runProgram(args, options);
  expect(result, `${args.join(' ')}\n${result.stderr}`).toMatchObject({ code: 0 });
  return result;
}

/**
 * Runs the program where it must refuse: with this exit code, and words that match each pattern. No stack trace, and no
 * word of a bug of ours.
 */
export async function runBadly(
  args: readonly string[],
  { code, says, ...options }: ProgramOptions & { readonly code: number; readonly says: readonly RegExp[] },
): Promise<ProgramResult> {
  const result = await runProgram(args, options);
  const where = `${args.join(' ')}\n${result.stderr}`;
  expect(result.code, where).toBe(code);
  for (const pattern of says) expect(result.stderr, where).toMatch(pattern);
  expect(result.stderr, where).not.toMatch(/^ +at .*:\d+:\d+|unexpected|bug in stdb-replicate|mistake in the program/m);
  return result;
}
