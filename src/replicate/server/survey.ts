/**
 * What of a server data directory belongs into an image, by names and stat facts alone. A look costs a few system calls
 * and reads nothing, so that it can be had every few seconds for ever.
 */
import { join } from 'node:path';
import type { FileFacts, ReadableFiles } from '../../core/readable-files.ts';
import { systemCode } from '../../core/errors.ts';
import { CONTROL_DB, EXTRA, IMAGE_PATH_PARTS_MAX, IMAGE_TOP_FILES, isControlName } from '../../layout/image-path.ts';
import { readingFrom } from '../../spacetimedb/reading-from.ts';

export interface ExtraFile {
  /** Unique; the file is stored as `extra/<name>`. */
  readonly name: string;
  /** Absolute; may lie outside of the data directory. */
  readonly path: string;
}

export interface SurveyOptions {
  readonly files: ReadableFiles;
  readonly dataDirectory: string;
  readonly extraFiles: readonly ExtraFile[];
}

export interface SurveyedFile {
  /** In the image. */
  readonly path: string;
  /** Where it lies. */
  readonly source: string;
  readonly facts: FileFacts;
}

export interface Survey {
  /** Ascending by path. */
  readonly files: readonly SurveyedFile[];
  /** `control-db` and those below it, ascending. */
  readonly directories: readonly string[];
  /** What should be there and is not, or cannot be looked at, in words. */
  readonly missing: readonly string[];
  /** What lies in control-db and is stored in no image: names that no server gives. */
  readonly foreign: readonly string[];
}

interface Findings {
  readonly files: SurveyedFile[];
  readonly directories: string[];
  readonly missing: string[];
  readonly foreign: string[];
}

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/**
 * Null while there is no control-db with a file in it: no server has been there, or its disk is not mounted. An image
 * without one would stand for a server without databases.
 *
 * @throws LocalFileError
 */
export async function survey(options: SurveyOptions): Promise<Survey | null> {
  const found: Findings = { files: [], directories: [], missing: [], foreign: [] };
  await surveyControl(options, CONTROL_DB, found);
  if (found.files.length === 0) return null;
  for (const name of IMAGE_TOP_FILES) await surveyTopFile(options, name, found);
  for (const extra of options.extraFiles) await surveyExtra(options.files, extra, found);
  found.files.sort((a, b) => byText(a.path, b.path));
  found.directories.sort(byText);
  return found;
}

async function surveyControl({ files, dataDirectory }: SurveyOptions, path: string, found: Findings): Promise<void> {
  const directory = join(dataDirectory, path);
  const names = await readingFrom(directory, () => files.list(directory));
  if (names === null) return;
  found.directories.push(path);
  for (const name of names) {
    const below = `${path}/${name}`;
    const source = join(directory, name);
    if (!isControlName(name) || below.split('/').length > IMAGE_PATH_PARTS_MAX) {
      found.foreign.push(source);
      continue;
    }
    const facts = await readingFrom(source, () => files.facts(source));
    // Gone meanwhile: the look after the copy tells it.
    if (facts === null) continue;
    if (facts.kind === 'directory') await surveyControl({ files, dataDirectory, extraFiles: [] }, below, found);
    else if (facts.kind === 'file') found.files.push({ path: below, source, facts });
    else found.foreign.push(source);
  }
}

async function surveyTopFile({ files, dataDirectory }: SurveyOptions, name: string, found: Findings): Promise<void> {
  const source = join(dataDirectory, name);
  const facts = await readingFrom(source, () => files.facts(source));
  if (facts?.kind === 'file') found.files.push({ path: name, source, facts });
  // config.toml is optional.
  else if (name === 'metadata.toml') found.missing.push(`${source}: a server refuses a directory without it`);
}

/** An extra file must never hold back an image: what is wrong with it is told. */
async function surveyExtra(files: ReadableFiles, { name, path }: ExtraFile, found: Findings): Promise<void> {
  try {
    const facts = await files.facts(path);
    if (facts?.kind === 'file') found.files.push({ path: `${EXTRA}/${name}`, source: path, facts });
    else found.missing.push(`${path}: ${facts === null ? 'there is no such file' : 'it is no file'}`);
  } catch (error) {
    const code = systemCode(error);
    if (code === null) throw error;
    found.missing.push(`${path}: it cannot be looked at (${code})`);
  }
}

const printOf = ({ path, facts }: SurveyedFile): string =>
  [path, facts.size, facts.mtime, facts.inode, facts.device, facts.mode ?? ''].join(' ');

/** Equal texts: no file came, went, or was seen to change. */
export const surveyPrint = ({ files, directories }: Survey): string =>
  [...files.map(printOf), ...directories].join('\n');

export const surveyBytes = ({ files }: Survey): number => files.reduce((sum, { facts }) => sum + facts.size, 0);
