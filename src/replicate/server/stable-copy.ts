/**
 * A copy of files that another process rewrites in place, as they all were at one moment.
 *
 * Everything is read, and after a pause read again. The copy counts only if names, sizes, times and inodes were the same
 * before, between and after, and the bytes the same both times. Facts alone would not do: a second write within one tick
 * of the file system's clock (up to 10 ms) changes no time. Bytes alone would not either: they may have changed and
 * changed back. With both, nothing changed between the end of that tick and the beginning of the second reading, and
 * that is the moment. sled recovers from whatever stood on the disk at one moment.
 */
import { Blake3 } from '../../core/checksum.ts';
import type { Clock } from '../../core/clock.ts';
import { LocalFileError } from '../../core/errors.ts';
import type { ReadableFiles } from '../../core/readable-files.ts';
import type { Micros } from '../../core/types.ts';
import { IMAGE_FILE_BYTES_MAX } from '../../layout/image-manifest.ts';
import { EXTRA } from '../../layout/image-path.ts';
import { readingFrom } from '../../spacetimedb/reading-from.ts';
import { type Survey, type SurveyedFile, surveyPrint } from './survey.ts';

/** Longer than a tick of any file system's clock. */
const PAUSE_MS = 50;
const READ_BYTES = 256 * 1024;

export interface CopiedFile {
  readonly path: string;
  readonly mode: number;
  readonly plain: Uint8Array;
  /** 64 hex digits. */
  readonly blake3: string;
}

export interface StableCopy {
  /** By the writer's clock, at the moment of which the copy is. */
  readonly time: Micros;
  /** Ascending by path. */
  readonly files: readonly CopiedFile[];
  readonly directories: readonly string[];
  /** Extra files that could not be read: the copy is without them. */
  readonly unreadable: readonly LocalFileError[];
}

export interface CopyOptions {
  readonly files: ReadableFiles;
  readonly clock: Clock;
  /** Looks anew. */
  readonly look: () => Promise<Survey | null>;
  readonly signal: AbortSignal;
}

/**
 * The copy holds as many bytes as `before` says.
 *
 * @returns null when something moved: look and try again
 * @throws LocalFileError
 */
export async function copyStable(
  before: Survey,
  { files, clock, look, signal }: CopyOptions,
): Promise<StableCopy | null> {
  const print = surveyPrint(before);
  const hasMoved = async (): Promise<boolean> => {
    const now = await look();
    return now === null || surveyPrint(now) !== print;
  };
  const unreadable: LocalFileError[] = [];
  const copied: { readonly source: SurveyedFile; readonly plain: Uint8Array }[] = [];
  for (const source of before.files) {
    signal.throwIfAborted();
    const plain = await readUnlessExtra(files, source, unreadable);
    if (plain === 'unreadable') continue;
    if (plain === null) return null;
    copied.push({ source, plain });
  }
  if (await hasMoved()) return null;
  await clock.sleep(PAUSE_MS, { signal });
  const time = clock.now();
  for (const { source, plain } of copied) {
    signal.throwIfAborted();
    if (!(await equalsFile(files, source, plain))) return null;
  }
  if (await hasMoved()) return null;
  return {
    time,
    files: copied.map(({ source, plain }) => ({
      path: source.path,
      mode: source.facts.mode ?? 0o600,
      plain,
      blake3: new Blake3().update(plain).digestHex(),
    })),
    directories: before.directories,
    unreadable,
  };
}

async function readUnlessExtra(
  files: ReadableFiles,
  source: SurveyedFile,
  unreadable: LocalFileError[],
): Promise<Uint8Array | null | 'unreadable'> {
  try {
    return await readWhole(files, source);
  } catch (error) {
    if (!(error instanceof LocalFileError) || !source.path.startsWith(`${EXTRA}/`)) throw error;
    unreadable.push(error);
    return 'unreadable';
  }
}

/** All bytes; null where they are no longer as many as was seen. @throws LocalFileError */
async function readWhole(files: ReadableFiles, { source, facts }: SurveyedFile): Promise<Uint8Array | null> {
  if (facts.size > IMAGE_FILE_BYTES_MAX) {
    throw new LocalFileError(
      `${source} has ${facts.size} bytes; an image holds files of at most ${IMAGE_FILE_BYTES_MAX}`,
      {
        facts: { path: source },
      },
    );
  }
  return readingFrom(source, async () => {
    await using file = await files.open(source);
    if (file === null) return null;
    // One byte more: a file that grew is seen to have.
    const plain = new Uint8Array(facts.size + 1);
    const bytes = await file.read(plain, 0);
    return bytes === facts.size ? plain.subarray(0, bytes) : null;
  });
}

function equalsFile(files: ReadableFiles, { source }: SurveyedFile, plain: Uint8Array): Promise<boolean> {
  return readingFrom(source, async () => {
    await using file = await files.open(source);
    if (file === null) return false;
    const chunk = Buffer.alloc(READ_BYTES);
    for (let at = 0; at <= plain.byteLength; at += READ_BYTES) {
      const bytes = await file.read(chunk, at);
      const expected = plain.subarray(at, at + READ_BYTES);
      if (bytes !== expected.byteLength || chunk.compare(expected, 0, bytes, 0, bytes) !== 0) return false;
    }
    return true;
  });
}
