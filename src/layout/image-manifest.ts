/**
 * An image's manifest.json: what of a server data directory was copied at one moment, beside its databases. The n-th
 * entry of `files` is the object `<n>.zst` beside it. Pure.
 *
 * The image's name carries its time and the beginning of the hash of its content, so that a manifest that lies in a
 * wrong place is noticed, and an image that equals the newest need not be stored again.
 */
import { blake3Hex } from '../core/checksum.ts';
import { formatCrc, type Micros, type Position } from '../core/types.ts';
import { DocumentFields, type JsonObject, type JsonValue } from './document-fields.ts';
import { readGenerationName, readHash } from './generation-document.ts';
import { isImageDirectoryPath, isImageFilePath } from './image-path.ts';
import { decodeDocument, encodeDocument, FORMAT_VERSION } from './json-document.ts';
import { type GenerationName, isHash } from './keys.ts';
import { IMAGE_FILES_MAX, type ImageNameParts, makeImageName, parseServerKey } from './server-keys.ts';
import { formatTimestamp } from './time.ts';

/** Some 20,000 entries. Checked before anything is parsed. */
export const IMAGE_MANIFEST_BYTES_MAX = 4 * 1024 * 1024;
/** Of one file, and of one program; each is a single zstd frame that is held in memory. */
export const IMAGE_FILE_BYTES_MAX = 1024 * 1024 * 1024;

export interface ImageFile {
  /** `metadata.toml`, `config.toml`, `control-db/…` or `extra/<name>`. */
  readonly path: string;
  /** Plain. */
  readonly bytes: number;
  /** Permission bits, 0 to 0o777. Written as `0644`. */
  readonly mode: number;
  /** Of the plain bytes, 64 hex digits. */
  readonly blake3: string;
}

/** How far a database was stored when the image was made. */
export interface StoredReplicaPosition extends Position {
  readonly generation: GenerationName;
}

export interface ImageReplica {
  readonly replicaId: bigint;
  /** Null where nothing of it was stored then. */
  readonly position: StoredReplicaPosition | null;
}

export interface ImageContent {
  /** Ascending by path, as text; no path twice. */
  readonly files: readonly ImageFile[];
  /** `control-db` and those below it, empty ones too; ascending. */
  readonly directories: readonly string[];
  /** Names of the programs that were there, all of them stored; ascending. */
  readonly programs: readonly string[];
  /** Each replica directory that was there, by rising id. */
  readonly replicas: readonly ImageReplica[];
}

export interface ImageManifest extends ImageContent {
  readonly time: Micros;
}

const formatMode = (mode: number): string => `0${mode.toString(8).padStart(3, '0')}`;

/** What the hash in an image's name is of, and the members of the manifest in their order. */
function sameness({ files, directories, programs, replicas }: ImageContent): Record<string, JsonValue> {
  return {
    files: files.map(({ path, bytes, mode, blake3 }) => ({ path, bytes, mode: formatMode(mode), blake3 })),
    directories,
    programs,
    replicas: replicas.map(({ replicaId }) => replicaId.toString()),
  };
}

/**
 * 16 hex digits: two images of one hash are the same but for their times and the positions of their databases. The first
 * digits of the BLAKE3 of `{"files":…,"directories":…,"programs":…,"replicas":[ids]}`, without blanks.
 */
export const imageHash = (content: ImageContent): string =>
  blake3Hex(Buffer.from(JSON.stringify(sameness(content)))).slice(0, 16);

export const imageNameOf = (manifest: ImageManifest): ImageNameParts =>
  makeImageName(manifest.time, imageHash(manifest));

/** Null where the manifest would be longer than a reader takes: too many files, programs or replicas. */
export function encodeImageManifest(manifest: ImageManifest): Uint8Array | null {
  const fields: JsonObject = {
    format: FORMAT_VERSION,
    time: formatTimestamp(manifest.time),
    ...sameness(manifest),
    replicas: manifest.replicas.map(({ replicaId, position }) => ({
      replicaId: replicaId.toString(),
      position: position && {
        generation: position.generation,
        tx: position.tx.toString(),
        crc: formatCrc(position.crc),
      },
    })),
  };
  if (manifest.files.length > IMAGE_FILES_MAX) return null;
  const bytes = encodeDocument(fields, { bytesMax: Number.MAX_SAFE_INTEGER });
  return bytes.byteLength > IMAGE_MANIFEST_BYTES_MAX ? null : bytes;
}

type ReadEntry<T> = (entry: DocumentFields, fail: (what: string) => never) => T;

function readEntries<T>(
  fields: DocumentFields,
  { member, key }: { readonly member: string; readonly key: string },
  read: ReadEntry<T>,
): T[] {
  return fields.list(member).map((value, i) => {
    const place = `${member}[${i}]`;
    if (value === null || typeof value !== 'object' || Array.isArray(value)) fields.fail(place, 'is no object');
    const entry = new DocumentFields(value as JsonObject, { key, path: `${place}.` });
    return read(entry, (what) => fields.fail(place, what));
  });
}

function readTexts(fields: DocumentFields, member: string, isAllowed: (text: string) => boolean): string[] {
  return fields.list(member).map((value, i) => {
    if (typeof value === 'string' && isAllowed(value)) return value;
    return fields.fail(`${member}[${i}]`, 'does not belong there');
  });
}

/** Ascending, and hence none twice. */
function requireOrder<T extends string | bigint>(fields: DocumentFields, member: string, keys: readonly T[]): void {
  keys.forEach((key, i) => {
    const before = keys[i - 1];
    if (before !== undefined && before >= key) fields.fail(`${member}[${i}]`, 'is out of order');
  });
}

function readFile(entry: DocumentFields): ImageFile {
  const path = entry.text('path');
  if (!isImageFilePath(path)) entry.fail('path', 'is none that an image may hold');
  const bytes = entry.count('bytes');
  if (bytes > IMAGE_FILE_BYTES_MAX) entry.fail('bytes', `is more than ${IMAGE_FILE_BYTES_MAX}`);
  const mode = entry.text('mode');
  if (!/^0[0-7]{3}$/.test(mode)) entry.fail('mode', 'is not four octal digits');
  return { path, bytes, mode: Number.parseInt(mode, 8), blake3: readHash(entry, 'blake3') };
}

function readReplica(entry: DocumentFields): ImageReplica {
  const position = entry.nullable('position', (member): StoredReplicaPosition => {
    const fields = entry.object(member);
    return { generation: readGenerationName(fields, 'generation'), tx: fields.tx('tx'), crc: fields.crc('crc') };
  });
  return { replicaId: entry.u64('replicaId'), position };
}

/** No path is a file and, itself or by what lies below it, a directory. */
function requireTree(fields: DocumentFields, { files, directories }: ImageContent): void {
  const paths = new Set(files.map(({ path }) => path));
  const refuse = (place: string, path: string): void => {
    for (let end = path.indexOf('/'); end > 0; end = path.indexOf('/', end + 1)) {
      if (paths.has(path.slice(0, end))) fields.fail(place, 'lies below a file');
    }
  };
  files.forEach(({ path }, i) => refuse(`files[${i}]`, path));
  directories.forEach((path, i) => {
    if (paths.has(path)) fields.fail(`directories[${i}]`, 'is a file too');
    refuse(`directories[${i}]`, path);
  });
}

/**
 * @param key relative to `server/`
 * @throws CorruptionError, also when the manifest belongs under another key; UnsupportedFormatError
 */
export function decodeImageManifest(bytes: Uint8Array, { key }: { readonly key: string }): ImageManifest {
  const fields = decodeDocument(bytes, { key, bytesMax: IMAGE_MANIFEST_BYTES_MAX });
  const manifest: ImageManifest = {
    time: fields.time('time'),
    files: readEntries(fields, { member: 'files', key }, readFile),
    directories: readTexts(fields, 'directories', isImageDirectoryPath),
    programs: readTexts(fields, 'programs', isHash),
    replicas: readEntries(fields, { member: 'replicas', key }, readReplica),
  };
  if (manifest.files.length > IMAGE_FILES_MAX) fields.fail('files', `has more than ${IMAGE_FILES_MAX} entries`);
  requireOrder(
    fields,
    'files',
    manifest.files.map(({ path }) => path),
  );
  requireOrder(fields, 'directories', manifest.directories);
  requireOrder(fields, 'programs', manifest.programs);
  requireOrder(
    fields,
    'replicas',
    manifest.replicas.map(({ replicaId }) => replicaId),
  );
  requireTree(fields, manifest);
  const parsed = parseServerKey(key);
  const name = imageNameOf(manifest).name;
  if (parsed?.kind !== 'image' || parsed.image.name !== name) fields.fail('files', `are those of image ${name}`);
  return manifest;
}
