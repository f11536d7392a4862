/**
 * What is said is made printable and free of secrets here, whatever was handed over: u64 as decimal digits, errors as
 * plain facts, bytes as a short hex, and nothing deeper or longer than a line of a log should be.
 */
import { ReplicateError } from '../core/errors.ts';

export const REDACTED = '[redacted]';

const DEPTH_MAX = 6;
const ITEMS_MAX = 50;
const TEXT_MAX = 8 * 1024;
const BYTES_SHOWN = 16;

const SECRET_NAMES =
  /accesskey|secret|token|authorization|password|passwd|passphrase|credential|signature|privatekey|apikey|cookie/;

const isSecretName = (name: string): boolean => SECRET_NAMES.test(name.toLowerCase().replaceAll(/[^a-z]/g, ''));

/** Credentials in URLs, secret parameters of URLs, and what follows the word of an authorization scheme. */
export function redactText(text: string): string {
  return text
    .replaceAll(/([a-z][a-z0-9+.-]*:\/\/)[^\s/?#"']*@/gi, '$1…@')
    .replaceAll(/([?&;]|\b)([\w-]+)=([^\s&;,"']+)/g, (whole, lead: string, name: string) =>
      isSecretName(name) ? `${lead}${name}=${REDACTED}` : whole,
    )
    .replaceAll(/\b(Bearer|Basic) [\w+/=.~-]{8,}/gi, `$1 ${REDACTED}`);
}

export interface PrintableOptions {
  /** Whether errors keep their stacks. */
  readonly stacks: boolean;
}

function printableError(error: Error, options: PrintableOptions, depth: number): Record<string, unknown> {
  const code: unknown = 'code' in error ? error.code : undefined;
  return {
    type: error.name,
    message: redactText(error.message),
    ...(typeof code === 'string' ? { code } : {}),
    ...(error instanceof ReplicateError && error.hint !== undefined ? { hint: redactText(error.hint) } : {}),
    ...(error instanceof ReplicateError && Object.keys(error.facts).length > 0
      ? { facts: printable(error.facts, options, depth + 1) }
      : {}),
    ...(options.stacks && error.stack !== undefined ? { stack: redactText(error.stack) } : {}),
    ...(error.cause === undefined ? {} : { cause: printable(error.cause, options, depth + 1) }),
  };
}

function printableObject(value: object, options: PrintableOptions, depth: number): unknown {
  if (value instanceof Error) return printableError(value, options, depth);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (value instanceof Uint8Array) {
    const shown = Buffer.from(value.subarray(0, BYTES_SHOWN)).toString('hex');
    return `${value.byteLength} bytes ${shown}${value.byteLength > BYTES_SHOWN ? '…' : ''}`;
  }
  if (depth >= DEPTH_MAX) return '…';
  if (Array.isArray(value)) {
    const items = value.slice(0, ITEMS_MAX).map((item) => printable(item, options, depth + 1));
    return value.length > ITEMS_MAX ? [...items, `… ${value.length - ITEMS_MAX} more`] : items;
  }
  const entries = Object.entries(value).slice(0, ITEMS_MAX);
  return Object.fromEntries(
    entries.map(([name, item]) => [name, isSecretName(name) ? REDACTED : printable(item, options, depth + 1)]),
  );
}

/** `value` as plain JSON. Cycles end where the depth does. */
export function printable(value: unknown, options: PrintableOptions, depth = 0): unknown {
  switch (typeof value) {
    case 'string':
      return redactText(value.length > TEXT_MAX ? `${value.slice(0, TEXT_MAX)}…` : value);
    case 'bigint':
      return value.toString();
    case 'object':
      return value === null ? null : printableObject(value, options, depth);
    case 'symbol':
    case 'function':
      return typeof value;
    default:
      return value;
  }
}
