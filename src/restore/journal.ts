/**
 * The journal of a staging directory, `journal.ndjson`: whose the files in it are, and which line of which backup each
 * database in it is of. It says what may be looked at by a restore that goes on, never that something is right: that is
 * found out by reading.
 *
 * Shape: first line { format: 1, uid, gid, directoryMode, fileMode }, then lines { directory, source, generation }. A line
 * that was cut short by a kill, and what follows it, counts for nothing.
 */
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemCode } from '../core/errors.ts';
import type { Ownership } from './ownership.ts';

const JOURNAL_FILE = 'journal.ndjson';
const FORMAT = 1;
/** The content itself for one database; else the directory of one of a server's. */
const DIRECTORY = /^(?:replicas\/(?:0|[1-9][0-9]{0,19}))?$/;

export interface JournalEntry {
  /** Below the content: empty, or `replicas/<id>`. */
  readonly directory: string;
  /** The database's own destination. */
  readonly source: string;
  /** The last one of the line: it names one history, at whatever transaction a restore of it ends. */
  readonly generation: string;
}

export interface JournalContent {
  readonly ownership: Ownership;
  readonly entries: readonly JournalEntry[];
}

export async function createJournal(staging: string, { ownership, entries }: JournalContent): Promise<void> {
  const lines = [{ format: FORMAT, ...ownership }, ...entries].map((line) => `${JSON.stringify(line)}\n`);
  await writeFile(join(staging, JOURNAL_FILE), lines.join(''), { flag: 'wx', flush: true });
}

export async function appendJournal(staging: string, entry: JournalEntry): Promise<void> {
  await appendFile(join(staging, JOURNAL_FILE), `${JSON.stringify(entry)}\n`, { flush: true });
}

/** Null where there is none that can be read. */
export async function readJournal(staging: string): Promise<JournalContent | null> {
  let text: string;
  try {
    text = await readFile(join(staging, JOURNAL_FILE), 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EISDIR'].includes(systemCode(error) ?? '')) return null;
    throw error;
  }
  const [first = '', ...rest] = text.split('\n').slice(0, -1);
  const ownership = parseOwnership(parseLine(first));
  if (ownership === null) return null;
  // Of one directory, the last line counts: what was of another history was removed before it was written.
  const entries = new Map<string, JournalEntry>();
  for (const line of rest) {
    const entry = parseEntry(parseLine(line));
    if (entry === null) return null;
    entries.set(entry.directory, entry);
  }
  return { ownership, entries: [...entries.values()] };
}

function parseLine(line: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    // Null would be said of it by the caller in any case.
    return {};
  }
}

function parseOwnership({ format, uid, gid, directoryMode, fileMode }: Record<string, unknown>): Ownership | null {
  if (format !== FORMAT) return null;
  const isCount = (value: unknown): value is number => Number.isSafeInteger(value);
  if (!isCount(uid) || !isCount(gid) || !isCount(directoryMode) || !isCount(fileMode)) return null;
  return { uid, gid, directoryMode, fileMode };
}

function parseEntry({ directory, source, generation }: Record<string, unknown>): JournalEntry | null {
  if (typeof directory !== 'string' || !DIRECTORY.test(directory)) return null;
  if (typeof source !== 'string' || typeof generation !== 'string') return null;
  return { directory, source, generation };
}

export const sameOwnership = (a: Ownership, b: Ownership): boolean =>
  a.uid === b.uid && a.gid === b.gid && a.directoryMode === b.directoryMode && a.fileMode === b.fileMode;
