/**
 * How an option is declared: a zod schema of what is written (text, number, list), registered with what people are
 * told about it. YAML, environment, flags, JSON Schema, example and reference all read this registry.
 */
import { posix } from 'node:path';
import { z } from 'zod';
import type { ListenAddress } from './config.ts';
import { DURATION_PATTERN, formatDuration, formatSize, parseDuration, parseSize, SIZE_PATTERN } from './units.ts';

export interface OptionFacts {
  /** One or two sentences, without markup. */
  readonly description: string;
  /** As it would be written in YAML, where the default is no good example. */
  readonly example?: string | number | readonly string[];
  /** A long flag of the command line, without its dash. */
  readonly flag?: string;
  /** What stands for a missing value, where that is not a fixed one. */
  readonly defaultNote?: string;
}

export const optionRegistry = z.registry<OptionFacts>();

export function option<S extends z.ZodType>(schema: S, facts: OptionFacts): S {
  optionRegistry.add(schema, facts);
  return schema;
}

interface Bounds {
  readonly min: number;
  readonly max: number;
}

/** Adds an issue when `value` is null or out of bounds. The messages continue "NAME: ". */
function checked(
  value: number | null,
  { min, max }: Bounds,
  { ctx, format }: { ctx: z.RefinementCtx<string>; format: (value: number) => string },
): number {
  const written = JSON.stringify(ctx.value);
  if (value === null) ctx.addIssue({ code: 'custom', message: `${written} is out of range` });
  else if (value < min) ctx.addIssue({ code: 'custom', message: `${written} is too small: at least ${format(min)}` });
  else if (value > max) ctx.addIssue({ code: 'custom', message: `${written} is too large: at most ${format(max)}` });
  else return value;
  return z.NEVER;
}

/** For values whose unit is easily forgotten: YAML then gives a number. Undefined leaves zod's own issue. */
const unitMissing = (unit: string) => ({
  error: ({ input }: { readonly input?: unknown }) =>
    typeof input === 'number' ? `${input} has no unit: write ${input}${unit}, for instance` : undefined,
});

/** Text such as `60s`; gives milliseconds. */
export const duration = (bounds: Bounds) =>
  z
    .string(unitMissing('s'))
    .regex(DURATION_PATTERN, {
      error: (issue) => `${JSON.stringify(issue.input)} is no duration: write 250ms, 1s, 5m, 1h or 30d`,
    })
    .transform((text, ctx) => checked(parseDuration(text), bounds, { ctx, format: formatDuration }));

/** Text such as `96MiB`; gives bytes. */
export const size = (bounds: Bounds) =>
  z
    .string(unitMissing('MiB'))
    .regex(SIZE_PATTERN, { error: (issue) => `${JSON.stringify(issue.input)} is no size: write 8MiB, 96MB or 1GiB` })
    .transform((text, ctx) => checked(parseSize(text), bounds, { ctx, format: formatSize }));

const LISTEN_PATTERN = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]/]+)):(\d{1,5})$/;

/** `host:port` or `[IPv6]:port`. */
export const listenAddress = () =>
  z
    .string()
    .regex(LISTEN_PATTERN, {
      error: (issue) =>
        `${JSON.stringify(issue.input)} is no HOST:PORT: write 127.0.0.1:9090 for this machine alone, 0.0.0.0:9090 for every interface`,
    })
    .transform((text, ctx): ListenAddress => {
      const [, ipv6, name, port] = LISTEN_PATTERN.exec(text) ?? [];
      if (Number(port) <= 65_535) return { host: ipv6 ?? name ?? '', port: Number(port) };
      ctx.addIssue({ code: 'custom', message: `${JSON.stringify(text)} has a port above 65535` });
      return z.NEVER;
    });

/** An absolute path; gives it normalized, without a trailing slash. */
export const absolutePath = () =>
  z
    .string()
    .regex(/^\/[^\0]*$/, {
      error: (issue) => `${JSON.stringify(issue.input)} is not absolute: begin the path with /`,
    })
    .transform((text) => posix.normalize(text).replace(/(?<=.)\/+$/, ''));

/** Text that is not empty. */
export const text = () => z.string().regex(/\S/, { error: 'is empty' });
