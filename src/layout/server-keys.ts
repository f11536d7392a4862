/**
 * Keys of the backup of a whole server data directory. At the destination's root lies `format.json` of kind `server`,
 * each replica directory's database below `replicas/<replica id>/`, with the keys of `keys.ts`, and the server's own
 * files below `server/`. Keys of these are relative to `server/`: head.json and generations there are read and written
 * by the same code as a database's, through a client with that prefix.
 *
 * Parsing accepts exactly what making writes; whatever else lies there is foreign.
 */
import { assert } from '../core/errors.ts';
import { type Crc32c, crc32cValue, type Micros, type Position, txOffset, U64_MAX } from '../core/types.ts';
import {
  FORMAT_KEY,
  GENERATIONS_PREFIX,
  type GenerationName,
  generationPrefix,
  isHash,
  parseGenerationName,
  parseKey,
} from './keys.ts';
import { formatKeyTime, parseKeyTime } from './time.ts';

/** Below the destination's root. */
export const SERVER_PREFIX = 'server/';
export const REPLICAS_PREFIX = 'replicas/';
/** Below `server/`. */
export const PROGRAMS_PREFIX = 'program-bytes/';
/** Files of one image are numbered from 0 and have no leading zeros. */
export const IMAGE_FILES_MAX = 100_000;

declare const imageBrand: unique symbol;
/** `20261121T074010.123456Z-0123456789abcdef`: text order is the order of times. */
export type ImageName = string & { readonly [imageBrand]: 'ImageName' };

export interface ImageNameParts {
  readonly name: ImageName;
  /** The writer's clock at the copy; later than that of every image before it in the line. */
  readonly time: Micros;
  /** 16 hex digits: the first ones of the BLAKE3 over what the image holds. */
  readonly hash: string;
}

export type ParsedServerKey =
  | { readonly kind: 'head' }
  | { readonly kind: 'generation'; readonly generation: GenerationName }
  | {
      readonly kind: 'image-file';
      readonly generation: GenerationName;
      readonly image: ImageNameParts;
      readonly index: number;
    }
  | { readonly kind: 'image'; readonly generation: GenerationName; readonly image: ImageNameParts }
  | { readonly kind: 'program'; readonly hash: string };

export type ParsedRootKey =
  | { readonly kind: 'format' }
  /** `key` is relative to `server/`, and may still be foreign there. */
  | { readonly kind: 'server'; readonly key: string }
  /** `key` is relative to that database's prefix, and may still be foreign there. */
  | { readonly kind: 'replica'; readonly replicaId: bigint; readonly key: string };

const IMAGE = /^([^-]{23})-([0-9a-f]{16})$/;
const IMAGE_HASH = /^[0-9a-f]{16}$/;
const IMAGE_KEY = /^generations\/([^/]{17})\/images\/([^/]{40})\/(?:(manifest\.json)|(0|[1-9]\d{0,5})\.zst)$/;
const PROGRAM_KEY = /^program-bytes\/([0-9a-f]{2})\/([0-9a-f]{62})$/;
const REPLICA_KEY = /^replicas\/(0|[1-9]\d{0,19})\/(.+)$/s;

/** Of the database of one replica directory, below the destination's root. */
export function replicaPrefix(replicaId: bigint): string {
  assert(replicaId >= 0n && replicaId <= U64_MAX, `replica id ${replicaId} is no u64`);
  return `${REPLICAS_PREFIX}${replicaId}/`;
}

/** @param hash 16 lower-case hex digits */
export function makeImageName(time: Micros, hash: string): ImageNameParts {
  assert(IMAGE_HASH.test(hash), `an image's hash must be 16 hex digits, not ${hash}`);
  return { name: `${formatKeyTime(time)}-${hash}` as ImageName, time, hash };
}

/** Null for anything that `makeImageName` does not write. */
export function parseImageName(text: string): ImageNameParts | null {
  const found = IMAGE.exec(text);
  const time = parseKeyTime(found?.[1] ?? '');
  return found?.[2] === undefined || time === null ? null : { name: text as ImageName, time, hash: found[2] };
}

/**
 * An image as a point of its line, for parent points: `tx` is its time in microseconds since 1970, `crc` the first 8
 * digits of its hash. Since the times of a line rise, all that is said of lines of commits holds for images too.
 */
export function imagePosition({ time, hash }: ImageNameParts): Position & { readonly crc: Crc32c } {
  return { tx: txOffset(time), crc: crc32cValue(Number.parseInt(hash.slice(0, 8), 16)) };
}

/** Of all images of a generation. */
export const imagesPrefix = (generation: GenerationName): string => `${generationPrefix(generation)}images/`;
export const imagePrefix = (generation: GenerationName, image: ImageName): string =>
  `${imagesPrefix(generation)}${image}/`;
/** Written last: its existence is what makes the image. */
export const imageManifestKey = (generation: GenerationName, image: ImageName): string =>
  `${imagePrefix(generation, image)}manifest.json`;

/** @param index the file's place in the manifest, from 0 */
export function imageFileKey(generation: GenerationName, image: ImageName, index: number): string {
  assert(Number.isInteger(index) && index >= 0 && index < IMAGE_FILES_MAX, `file ${index} of an image`);
  return `${imagePrefix(generation, image)}${index}.zst`;
}

/** @param hash as the server names the program, 64 lower-case hex digits */
export function programKey(hash: string): string {
  assert(isHash(hash), `a program's name must be 64 hex digits, not ${hash}`);
  return `${PROGRAMS_PREFIX}${hash.slice(0, 2)}/${hash.slice(2)}`;
}

/** A key relative to `server/`; null where it is foreign. */
export function parseServerKey(key: string): ParsedServerKey | null {
  const program = PROGRAM_KEY.exec(key);
  if (program) return { kind: 'program', hash: `${program[1]}${program[2]}` };
  const common = parseKey(key);
  if (common?.kind === 'head' || common?.kind === 'generation') return common;
  return key.startsWith(GENERATIONS_PREFIX) ? parseImageKey(key) : null;
}

function parseImageKey(key: string): ParsedServerKey | null {
  const found = IMAGE_KEY.exec(key);
  const generation = parseGenerationName(found?.[1] ?? '')?.name;
  const image = parseImageName(found?.[2] ?? '');
  if (found === null || generation === undefined || image === null) return null;
  if (found[3] !== undefined) return { kind: 'image', generation, image };
  const index = Number(found[4]);
  return index < IMAGE_FILES_MAX ? { kind: 'image-file', generation, image, index } : null;
}

/** A key relative to the root of a server's backup; null where it is foreign. */
export function parseRootKey(key: string): ParsedRootKey | null {
  if (key === FORMAT_KEY) return { kind: 'format' };
  if (key.startsWith(SERVER_PREFIX)) return { kind: 'server', key: key.slice(SERVER_PREFIX.length) };
  const found = REPLICA_KEY.exec(key);
  const replicaId = BigInt(found?.[1] ?? '0');
  return found?.[2] === undefined || replicaId > U64_MAX ? null : { kind: 'replica', replicaId, key: found[2] };
}
