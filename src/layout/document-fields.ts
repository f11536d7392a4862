/** Members of stored JSON with their shapes checked; every failure names the object and the member. */
import { CorruptionError } from '../core/errors.ts';
import { type Crc32c, crc32cValue, type Micros, type TxOffset, txOffset, U64_MAX } from '../core/types.ts';
import { parseTimestamp } from './time.ts';

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [member: string]: JsonValue;
}

interface Place {
  readonly key: string;
  /** Of the members around this one, each with a dot: `parent.`. */
  readonly path: string;
}

const U64 = /^(0|[1-9]\d{0,19})$/;
const CRC = /^[0-9a-f]{8}$/;

export class DocumentFields {
  readonly #members: JsonObject;
  readonly #place: Place;

  constructor(members: JsonObject, place: Place) {
    this.#members = members;
    this.#place = place;
  }

  fail(member: string, what: string): never {
    const { key, path } = this.#place;
    throw new CorruptionError(`${key}: "${path}${member}" ${what}`, { facts: { key, member: `${path}${member}` } });
  }

  isNull(member: string): boolean {
    return this.#members[member] === null;
  }

  /** What `read` makes of a member that may be null. An absent member is not null. */
  nullable<T>(member: string, read: (member: string) => T): T | null {
    return this.isNull(member) ? null : read(member);
  }

  text(member: string): string {
    const value = this.#members[member];
    return typeof value === 'string' ? value : this.fail(member, 'is no text');
  }

  boolean(member: string): boolean {
    const value = this.#members[member];
    return typeof value === 'boolean' ? value : this.fail(member, 'is neither true nor false');
  }

  /** A whole number from 0 to 2^53 - 1. */
  count(member: string): number {
    const value = this.#members[member];
    const isCount = typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
    return isCount ? value : this.fail(member, 'is no whole number');
  }

  /** A finite number, not negative. */
  number(member: string): number {
    const value = this.#members[member];
    return typeof value === 'number' && Number.isFinite(value) && value >= 0
      ? value
      : this.fail(member, 'is no number');
  }

  /** Decimal digits of a u64. */
  u64(member: string): bigint {
    const digits = this.text(member);
    const value = U64.test(digits) ? BigInt(digits) : U64_MAX + 1n;
    return value <= U64_MAX ? value : this.fail(member, 'is no u64 in decimal digits');
  }

  tx(member: string): TxOffset {
    return txOffset(this.u64(member));
  }

  crc(member: string): Crc32c {
    const hex = this.text(member);
    return CRC.test(hex) ? crc32cValue(Number.parseInt(hex, 16)) : this.fail(member, 'is no checksum of 8 hex digits');
  }

  time(member: string): Micros {
    return parseTimestamp(this.text(member)) ?? this.fail(member, 'is no time in UTC with microseconds');
  }

  object(member: string): DocumentFields {
    const value = this.#members[member];
    if (value === null || typeof value !== 'object' || Array.isArray(value)) return this.fail(member, 'is no object');
    const { key, path } = this.#place;
    return new DocumentFields(value as JsonObject, { key, path: `${path}${member}.` });
  }

  list(member: string): readonly JsonValue[] {
    const value = this.#members[member];
    return Array.isArray(value) ? (value as readonly JsonValue[]) : this.fail(member, 'is no list');
  }

  oneOf<const T extends string>(member: string, words: readonly T[]): T {
    const value = this.text(member);
    return words.find((word) => word === value) ?? this.fail(member, `is none of ${words.join(', ')}`);
  }
}
