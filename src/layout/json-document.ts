/**
 * The JSON documents of the store: one line of JSON and a newline, at most 64 KiB (an image's manifest: 4 MiB). The last member is always
 * `"crc"`: the CRC32C, 8 hex digits, of the same line without that member and without the newline. That is what
 * `jq -c 'del(.crc)'` prints, less its newline.
 *
 * A reader ignores members that it does not know. What a reader must not ignore raises `format`.
 */
import { crc32c } from '../core/checksum.ts';
import { assert, UnsupportedFormatError } from '../core/errors.ts';
import { formatCrc } from '../core/types.ts';
import { DocumentFields, type JsonObject, type JsonValue } from './document-fields.ts';
import { corruptObject } from './object-error.ts';

export const FORMAT_VERSION = 1;
export const DOCUMENT_BYTES_MAX = 64 * 1024;

const ENDING = /,"crc":"([0-9a-f]{8})"\}\n?$/;
const text = new TextDecoder('utf-8', { fatal: true });

export interface EncodeDocumentOptions {
  /** For the one document that lists many things. Default: 64 KiB. */
  readonly bytesMax?: number;
}

/** `fields` must not be empty, and hold no member `crc`; members are written in their order. */
export function encodeDocument(
  fields: JsonObject,
  { bytesMax = DOCUMENT_BYTES_MAX }: EncodeDocumentOptions = {},
): Uint8Array {
  const body = JSON.stringify(fields);
  const bytes = Buffer.from(`${body.slice(0, -1)},"crc":"${formatCrc(crc32c(Buffer.from(body)))}"}\n`);
  assert(bytes.byteLength <= bytesMax, `a document of ${bytes.byteLength} bytes is too long`);
  return bytes;
}

export interface DecodeDocumentOptions {
  readonly key: string;
  /** Default: 64 KiB. */
  readonly bytesMax?: number;
}

function decodeText(bytes: Uint8Array, { key, bytesMax = DOCUMENT_BYTES_MAX }: DecodeDocumentOptions): string {
  if (bytes.byteLength > bytesMax) throw corruptObject(key, `has more than ${bytesMax} bytes`);
  try {
    return text.decode(bytes);
  } catch (error) {
    throw corruptObject(key, 'is not UTF-8', error);
  }
}

function parseObject(line: string, key: string): { readonly [member: string]: JsonValue } {
  let value: JsonValue;
  try {
    value = JSON.parse(line) as JsonValue;
  } catch (error) {
    throw corruptObject(key, 'is not JSON', error);
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    throw corruptObject(key, 'is no JSON object');
  return value as { readonly [member: string]: JsonValue };
}

/**
 * The members of a document whose checksum is right.
 *
 * @throws CorruptionError naming `key`; UnsupportedFormatError when `format` is not 1
 */
export function decodeDocument(bytes: Uint8Array, options: DecodeDocumentOptions): DocumentFields {
  const { key } = options;
  const line = decodeText(bytes, options);
  const ending = ENDING.exec(line);
  const members = parseObject(line, key);
  if (ending !== null) {
    const body = `${line.slice(0, ending.index)}}`;
    if (formatCrc(crc32c(Buffer.from(body))) !== ending[1])
      throw corruptObject(key, 'does not have the checksum it names');
  }
  const format = members['format'];
  if (typeof format === 'number' && Number.isInteger(format) && format !== FORMAT_VERSION) {
    throw new UnsupportedFormatError(`${key} is of format ${format}; this program knows format ${FORMAT_VERSION}`, {
      facts: { key, format },
      hint: 'Use the release of stdb-replicate that wrote this backup, or a newer one.',
    });
  }
  if (ending === null) throw corruptObject(key, 'does not end in its checksum');
  if (format !== FORMAT_VERSION) throw corruptObject(key, 'names no format');
  return new DocumentFields(members, { key, path: '' });
}
