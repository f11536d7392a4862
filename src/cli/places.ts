/** What a positional names: a place in a store, or a directory. */
import { resolve } from 'node:path';
import type { Config, DatabaseConfig } from '../config/config.ts';
import { ConfigurationError } from '../core/errors.ts';

export const isUrl = (text: string): boolean => /^[A-Za-z][A-Za-z0-9+.-]+:/.test(text);

/** @throws ConfigurationError that names the databases which the configuration knows */
export function requireDatabase(config: Config, directory: string, file: string | null): DatabaseConfig {
  const path = resolve(directory);
  const found = config.dbs.find((database) => database.path === path);
  if (found) return found;
  const inside = config.dbs.filter((database) => database.path.startsWith(`${path}/`));
  const what =
    inside.length > 0 ? `${path} is not one database but holds some` : `${path} is not among the databases of ${file}`;
  throw new ConfigurationError(what, {
    hint: `Name one of: ${(inside.length > 0 ? inside : config.dbs).map((database) => database.path).join(', ')}.`,
    facts: { path },
  });
}
