/**
 * The one room that makes and parses keys. Keys are relative to one database's prefix. Parsing accepts exactly what
 * making writes: every part has a known shape, nothing is normalised, and whatever else lies in the store is foreign.
 */
import { assert } from '../core/errors.ts';
import { type Crc32c, crc32cValue, formatCrc, type Micros, type TxOffset, txOffset, U64_MAX } from '../core/types.ts';
import { formatKeyTime, parseKeyTime } from './time.ts';

declare const generationBrand: unique symbol;
/** `00000001-1a2b3c4d`: number, then 8 random hex digits. */
export type GenerationName = string & { readonly [generationBrand]: 'GenerationName' };

export const FORMAT_KEY = 'format.json';
export const HEAD_KEY = 'head.json';
export const GENERATIONS_PREFIX = 'generations/';
export const PACKS_PREFIX = 'packs/';
export const GENERATION_NUMBER_MAX = 99_999_999;
/** Levels are one digit. */
export const LEVEL_MAX = 9;

/** What a log object's name says of it. */
export interface LogObjectName {
  readonly generation: GenerationName;
  readonly level: number;
  /** The name of the source segment. */
  readonly segment: TxOffset;
  readonly first: TxOffset;
  readonly last: TxOffset;
  /** The greatest server time in the line up to and including `last`. */
  readonly time: Micros;
  /** Of the commit before `first`; 0 at tx 0 and where a parentless generation begins. */
  readonly prev: Crc32c;
  /** Of the last commit. */
  readonly crc: Crc32c;
}

export interface LogObject extends LogObjectName {
  readonly key: string;
  /** Bytes as stored. */
  readonly size: number;
}

export type ParsedKey =
  | { readonly kind: 'format' }
  | { readonly kind: 'head' }
  | { readonly kind: 'generation'; readonly generation: GenerationName }
  | { readonly kind: 'log'; readonly name: LogObjectName }
  | { readonly kind: 'manifest'; readonly generation: GenerationName; readonly tx: TxOffset }
  | { readonly kind: 'pack'; readonly hash: string };

const GENERATION = /^(\d{8})-([0-9a-f]{8})$/;
const HASH = /^[0-9a-f]{64}$/;
const LOG_KEY =
  /^generations\/([^/]{17})\/log\/(\d)\/(\d{20})\/(\d{20})-(\d{20})\.([^.]{15}\.\d{6}Z)\.([0-9a-f]{8})-([0-9a-f]{8})\.zst$/;
const MANIFEST_KEY = /^generations\/([^/]{17})\/snapshots\/(\d{20})\/manifest\.ndjson\.zst$/;
const GENERATION_KEY = /^generations\/([^/]{17})\/generation\.json$/;
const PACK_KEY = /^packs\/([0-9a-f]{2})\/([0-9a-f]{64})\.pack$/;

/** 20 decimal digits. */
export const formatTx = (tx: TxOffset): string => tx.toString().padStart(20, '0');

function parseTx(digits: string | undefined): TxOffset | null {
  if (digits === undefined) return null;
  const value = BigInt(digits);
  return value > U64_MAX ? null : txOffset(value);
}

const parseCrc = (hex: string | undefined): Crc32c => crc32cValue(Number.parseInt(hex ?? '', 16));

/** @param random 8 lower-case hex digits */
export function makeGenerationName(number: number, random: string): GenerationName {
  assert(Number.isInteger(number) && number >= 1 && number <= GENERATION_NUMBER_MAX, `generation number ${number}`);
  const name = `${number.toString().padStart(8, '0')}-${random}`;
  assert(GENERATION.test(name), `the random part of a generation's name must be 8 hex digits, not ${random}`);
  return name as GenerationName;
}

export function parseGenerationName(text: string): { number: number; suffix: string; name: GenerationName } | null {
  const found = GENERATION.exec(text);
  const number = Number(found?.[1] ?? 0);
  return number === 0 ? null : { number, suffix: found?.[2] ?? '', name: text as GenerationName };
}

const toGeneration = (text: string | undefined): GenerationName | null => parseGenerationName(text ?? '')?.name ?? null;

export const generationPrefix = (generation: GenerationName): string => `${GENERATIONS_PREFIX}${generation}/`;
export const generationKey = (generation: GenerationName): string => `${generationPrefix(generation)}generation.json`;
export const snapshotsPrefix = (generation: GenerationName): string => `${generationPrefix(generation)}snapshots/`;

/** Of all log objects of a generation, or of one level. */
export function logPrefix(generation: GenerationName, level?: number): string {
  const prefix = `${generationPrefix(generation)}log/`;
  return level === undefined ? prefix : `${prefix}${level}/`;
}

/**
 * A `startAfter` for a listing: behind it come, in UTF-8 order, the objects of that level and segment with
 * `first` > `tx`, then later segments, higher levels and the generation's snapshots.
 */
export function logKeysAfter(
  generation: GenerationName,
  { level, segment, tx }: { readonly level: number; readonly segment: TxOffset; readonly tx: TxOffset },
): string {
  // `~` sorts behind the `-` that follows a key's first offset.
  return `${logPrefix(generation, level)}${formatTx(segment)}/${formatTx(tx)}~`;
}

export function logObjectKey(name: LogObjectName): string {
  assert(Number.isInteger(name.level) && name.level >= 0 && name.level <= LEVEL_MAX, `level ${name.level}`);
  assert(
    name.segment <= name.first && name.first <= name.last,
    `log object ${name.segment}/${name.first}-${name.last} is out of order`,
  );
  const range = `${formatTx(name.first)}-${formatTx(name.last)}`;
  const chain = `${formatCrc(name.prev)}-${formatCrc(name.crc)}`;
  return `${logPrefix(name.generation, name.level)}${formatTx(name.segment)}/${range}.${formatKeyTime(name.time)}.${chain}.zst`;
}

export const manifestKey = (generation: GenerationName, tx: TxOffset): string =>
  `${snapshotsPrefix(generation)}${formatTx(tx)}/manifest.ndjson.zst`;

export const isHash = (text: string): boolean => HASH.test(text);

/** @param hash BLAKE3 of the pack's bytes, 64 lower-case hex digits */
export function packKey(hash: string): string {
  assert(isHash(hash), `a pack's name must be 64 hex digits, not ${hash}`);
  return `${PACKS_PREFIX}${hash.slice(0, 2)}/${hash}.pack`;
}

function parseLogKey(key: string): ParsedKey | null {
  const found = LOG_KEY.exec(key);
  if (found === null) return null;
  const generation = toGeneration(found[1]);
  const segment = parseTx(found[3]);
  const first = parseTx(found[4]);
  const last = parseTx(found[5]);
  const time = parseKeyTime(found[6] ?? '');
  if (generation === null || segment === null || first === null || last === null || time === null) return null;
  if (segment > first || first > last) return null;
  const name = { generation, level: Number(found[2]), segment, first, last, time };
  return { kind: 'log', name: { ...name, prev: parseCrc(found[7]), crc: parseCrc(found[8]) } };
}

function parseManifestKey(key: string): ParsedKey | null {
  const found = MANIFEST_KEY.exec(key);
  const generation = toGeneration(found?.[1]);
  const tx = parseTx(found?.[2]);
  return generation === null || tx === null ? null : { kind: 'manifest', generation, tx };
}

/** Null for everything that this room does not make: foreign objects are reported, never touched. */
export function parseKey(key: string): ParsedKey | null {
  if (key === FORMAT_KEY) return { kind: 'format' };
  if (key === HEAD_KEY) return { kind: 'head' };
  if (key.startsWith(PACKS_PREFIX)) {
    const found = PACK_KEY.exec(key);
    return found?.[2]?.startsWith(found[1] ?? '-') ? { kind: 'pack', hash: found[2] } : null;
  }
  const generation = toGeneration(GENERATION_KEY.exec(key)?.[1]);
  if (generation !== null) return { kind: 'generation', generation };
  return parseLogKey(key) ?? parseManifestKey(key);
}
