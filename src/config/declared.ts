/** The declared options as a list, for everything that is not zod: environment, flags, example, reference. */
import { z } from 'zod';
import { type OptionFacts, optionRegistry } from './option.ts';
import { configSchema } from './schema.ts';

/** A place in the configuration; list items by their index, or by `[]` in a declaration. */
export type OptionPath = readonly (string | number)[];

export interface DeclaredOption {
  readonly path: OptionPath;
  readonly schema: z.ZodType;
  readonly facts: OptionFacts;
  /** As written; undefined where there is none. */
  readonly defaultValue: unknown;
  /** A list is one of mappings, which are declared themselves; texts are a list of plain values. */
  readonly kind: 'section' | 'list' | 'texts' | 'number' | 'boolean' | 'text';
  /** For single values outside of lists. */
  readonly environmentName: string | null;
}

/** `dbs[0].replica.url` */
export function formatOptionPath(path: OptionPath): string {
  return path.reduce<string>((name, part) => {
    if (typeof part === 'number') return `${name}[${part}]`;
    if (part === '[]') return `${name}${part}`;
    return name === '' ? part : `${name}.${part}`;
  }, '');
}

/** Takes off the wrappers for defaults and absence, and the transformation to the resolved value. */
export function innerSchema(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional) {
    return innerSchema(schema.unwrap() as z.ZodType);
  }
  return schema instanceof z.ZodPipe ? innerSchema(schema.in as z.ZodType) : schema;
}

function kindOf(inner: z.ZodType): DeclaredOption['kind'] {
  if (inner instanceof z.ZodObject) return 'section';
  if (inner instanceof z.ZodArray) {
    return innerSchema(inner.element as z.ZodType) instanceof z.ZodObject ? 'list' : 'texts';
  }
  if (inner instanceof z.ZodBoolean) return 'boolean';
  return inner instanceof z.ZodNumber ? 'number' : 'text';
}

/** Whether an option holds one value of its own, not others. */
export const isSingle = ({ kind }: Pick<DeclaredOption, 'kind'>): boolean =>
  kind === 'text' || kind === 'number' || kind === 'boolean';

function declare(schema: z.ZodType, path: OptionPath): DeclaredOption[] {
  const inner = innerSchema(schema);
  const kind = kindOf(inner);
  const facts = optionRegistry.get(schema);
  const single = isSingle({ kind }) && !path.includes('[]');
  const own: DeclaredOption[] = facts
    ? [
        {
          path,
          schema,
          facts,
          kind,
          defaultValue: schema instanceof z.ZodPrefault ? schema.def.defaultValue : undefined,
          environmentName: single ? `STDB_REPLICATE_${path.join('_').replaceAll('-', '_').toUpperCase()}` : null,
        },
      ]
    : [];
  return [...own, ...childrenOf(inner).flatMap(([part, child]) => declare(child, [...path, part]))];
}

function childrenOf(inner: z.ZodType): [string, z.ZodType][] {
  if (inner instanceof z.ZodObject) return Object.entries(inner.shape as Record<string, z.ZodType>);
  return inner instanceof z.ZodArray ? [['[]', inner.element as z.ZodType]] : [];
}

/** In the order of declaration, a section before what is in it. */
export const declaredOptions: readonly DeclaredOption[] = declare(configSchema, []);

/** The declaration of a place in a real configuration; null where nothing is declared. */
export function findDeclared(path: OptionPath): DeclaredOption | null {
  const wanted = formatOptionPath(path.map((part) => (typeof part === 'number' ? '[]' : part)));
  return declaredOptions.find((declared) => formatOptionPath(declared.path) === wanted) ?? null;
}

/** Keys that may stand in the mapping at `path`. */
export function keysAt(path: OptionPath): readonly string[] {
  const depth = path.length;
  const wanted = path.map((part) => (typeof part === 'number' ? '[]' : part)).join('\0');
  return declaredOptions
    .filter((declared) => declared.path.length === depth + 1 && declared.path.slice(0, depth).join('\0') === wanted)
    .map((declared) => String(declared.path[depth]))
    .filter((key) => key !== '[]');
}
