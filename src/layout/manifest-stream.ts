/** Manifests as streams of stored bytes: encoding line by line, and decoding within bounds. */
import { Blake3 } from '../core/checksum.ts';
import { assert, UnsupportedFormatError } from '../core/errors.ts';
import { mapAhead } from '../core/map-ahead.ts';
import { encodeFrame } from '../zstd/frame.ts';
import { DocumentFields, type JsonObject } from './document-fields.ts';
import { readHash } from './generation-document.ts';
import { decodeFrames, FRAMES_AHEAD } from './frames.ts';
import { FORMAT_VERSION } from './json-document.ts';
import {
  headerToJson,
  MANIFEST_LINE_BYTES_MAX,
  type ManifestHeader,
  ManifestTotals,
  type PackLine,
  readHeader,
  readPackLine,
} from './manifest.ts';
import { corruptObject } from './object-error.ts';

export const MANIFEST_FRAME_PLAIN_BYTES_MAX = 256 * 1024;
/** With places of 16 digits each, 400 objects take 50 KiB: always less than a line may have. */
export const MANIFEST_LINE_OBJECTS_MAX = 400;
const NEWLINE = 0x0a;

const lineOf = (value: JsonObject): Buffer => {
  const line = Buffer.from(`${JSON.stringify(value)}\n`);
  assert(line.byteLength <= MANIFEST_LINE_BYTES_MAX, 'a line of a manifest is too long');
  return line;
};

function* packLines({ pack, bytes, objects }: PackLine): Generator<Buffer, void, void> {
  for (let at = 0; at === 0 || at < objects.length; at += MANIFEST_LINE_OBJECTS_MAX) {
    const some = objects.slice(at, at + MANIFEST_LINE_OBJECTS_MAX);
    const places = some.map(({ hash, offset, length, plainLength }) => [hash, offset, length, plainLength]);
    yield lineOf({ pack, bytes, objects: places });
  }
}

async function* plainLines(
  header: ManifestHeader,
  packs: Iterable<PackLine> | AsyncIterable<PackLine>,
): AsyncGenerator<Buffer, void, void> {
  const hash = new Blake3();
  const totals = new ManifestTotals(header);
  let lines = 1;
  const first = lineOf(headerToJson(header));
  hash.update(first);
  yield first;
  for await (const pack of packs) {
    const wrong = totals.add(pack);
    assert(wrong === null, `the manifest ${wrong}`);
    for (const line of packLines(pack)) {
      hash.update(line);
      lines += 1;
      yield line;
    }
  }
  const wrong = totals.end();
  assert(wrong === null, `the manifest ${wrong}`);
  yield lineOf({ end: true, lines, blake3: hash.digestHex() });
}

/** Whole lines, gathered to at most `bytesMax`. */
async function* gather(lines: AsyncIterable<Buffer>, bytesMax: number): AsyncGenerator<Buffer, void, void> {
  let some: Buffer[] = [];
  let bytes = 0;
  for await (const line of lines) {
    if (bytes + line.byteLength > bytesMax) {
      yield Buffer.concat(some, bytes);
      some = [];
      bytes = 0;
    }
    some.push(line);
    bytes += line.byteLength;
  }
  if (bytes > 0) yield Buffer.concat(some, bytes);
}

export interface EncodeManifestOptions {
  readonly level: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The stored bytes. Each of `packs` tells all objects that the snapshot has in one pack; long ones are cut into lines.
 * What they add up to must be what `header` says.
 */
export function encodeManifest(
  { header, packs }: { readonly header: ManifestHeader; readonly packs: Iterable<PackLine> | AsyncIterable<PackLine> },
  { level, signal }: EncodeManifestOptions,
): AsyncGenerator<Uint8Array, void, void> {
  return mapAhead(
    gather(plainLines(header, packs), MANIFEST_FRAME_PLAIN_BYTES_MAX),
    (plain) => encodeFrame(plain, { level }),
    { ahead: FRAMES_AHEAD, signal },
  );
}

export interface DecodeManifestOptions {
  readonly key: string;
  /** Bytes as listed, where they are known. */
  readonly size?: number;
  readonly signal?: AbortSignal | undefined;
}

export interface ManifestReader extends AsyncDisposable {
  readonly header: ManifestHeader;
  /**
   * To be read once. Only when it has ended without a failure is the manifest proven whole.
   *
   * @throws CorruptionError naming key and line
   */
  readonly packs: AsyncIterable<PackLine>;
}

/** Lines with their newlines. */
async function* splitLines(
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: DecodeManifestOptions,
): AsyncGenerator<Uint8Array, void, void> {
  const { key } = options;
  let rest: Uint8Array = new Uint8Array(0);
  for await (const { plain, skippable, at } of decodeFrames(body, options)) {
    if (skippable) throw corruptObject(key, `has a frame of an unknown kind at byte ${at}`);
    const data = rest.byteLength === 0 ? plain : Buffer.concat([rest, plain]);
    let start = 0;
    for (let end = data.indexOf(NEWLINE); end !== -1; end = data.indexOf(NEWLINE, start)) {
      if (end + 1 - start > MANIFEST_LINE_BYTES_MAX) throw corruptObject(key, 'has too long a line');
      yield data.subarray(start, end + 1);
      start = end + 1;
    }
    rest = data.subarray(start);
    if (rest.byteLength >= MANIFEST_LINE_BYTES_MAX) throw corruptObject(key, 'has too long a line');
  }
  if (rest.byteLength > 0) throw corruptObject(key, 'ends within a line');
}

function parseLine(line: Uint8Array, key: string, number: number): { members: JsonObject; fields: DocumentFields } {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(line.buffer, line.byteOffset, line.byteLength).toString('utf8'));
  } catch (error) {
    throw corruptObject(key, `has a line ${number} that is not JSON`, error);
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw corruptObject(key, `has a line ${number} that is no JSON object`);
  }
  const members = value as JsonObject;
  return { members, fields: new DocumentFields(members, { key, path: `line ${number}: ` }) };
}

async function* readPacks(
  lines: AsyncGenerator<Uint8Array, void, void>,
  totals: ManifestTotals,
  { key, hash }: { readonly key: string; readonly hash: Blake3 },
): AsyncGenerator<PackLine, void, void> {
  let number = 1;
  let ended = false;
  for await (const line of lines) {
    if (ended) throw corruptObject(key, 'goes on behind its end line');
    const { members, fields } = parseLine(line, key, number + 1);
    if ('end' in members) {
      if (fields.count('lines') !== number) fields.fail('lines', `is not ${number}`);
      if (readHash(fields, 'blake3') !== hash.digestHex()) fields.fail('blake3', 'is not that of the lines before');
      const wrong = totals.end();
      if (wrong !== null) throw corruptObject(key, wrong);
      ended = true;
      continue;
    }
    hash.update(line);
    number += 1;
    const pack = readPackLine(fields);
    const wrong = totals.add(pack);
    if (wrong !== null) throw corruptObject(key, wrong);
    yield pack;
  }
  if (!ended) throw corruptObject(key, 'has no end line');
}

/**
 * Reads the header, and gives the rest to be read. Dispose of the reader when it is not read to its end.
 *
 * @throws CorruptionError naming key; UnsupportedFormatError when the header's format is not 1
 */
export async function decodeManifest(
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: DecodeManifestOptions,
): Promise<ManifestReader> {
  const { key } = options;
  const lines = splitLines(body, options);
  try {
    const first = await lines.next();
    if (first.done) throw corruptObject(key, 'is empty');
    const { members, fields } = parseLine(first.value, key, 1);
    const format = members['format'];
    if (typeof format === 'number' && format !== FORMAT_VERSION) {
      throw new UnsupportedFormatError(`${key} is of format ${format}; this program knows format ${FORMAT_VERSION}`, {
        facts: { key, format },
        hint: 'Use the release of stdb-replicate that wrote this backup, or a newer one.',
      });
    }
    if (format !== FORMAT_VERSION) fields.fail('format', 'is no format');
    const header = readHeader(fields);
    const packs = readPacks(lines, new ManifestTotals(header), { key, hash: new Blake3().update(first.value) });
    return { header, packs, [Symbol.asyncDispose]: async () => void (await lines.return()) };
  } catch (error) {
    await lines.return();
    throw error;
  }
}
