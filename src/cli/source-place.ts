/** Which destinations a command line means that only reads a backup: DB_DIR of the configuration, or a URL. */
import type { Config } from '../config/config.ts';
import type { LoadedConfig } from '../config/load.ts';
import { resolve } from 'node:path';
import { isUrl } from './places.ts';
import { placeOfDirectory } from './restore-place.ts';

export interface SourcePlace {
  readonly config: Config;
  readonly urls: readonly string[];
  /** One database of a server's backup. */
  readonly replicaId: bigint | undefined;
  /** Absolute; null for a URL. */
  readonly directory: string | null;
}

/**
 * @param load reads the configuration; `fileless` where none is needed
 * @throws ConfigurationError, UsageError, LocalFileError
 */
export async function findSource(
  { source, replicaId }: { readonly source: string; readonly replicaId: bigint | undefined },
  load: (fileless: boolean) => Promise<LoadedConfig>,
): Promise<SourcePlace> {
  if (isUrl(source)) {
    const { config } = await load(true);
    return { config, urls: [source], replicaId, directory: null };
  }
  const { config, file } = await load(false);
  const place = placeOfDirectory(config, { source, o: undefined, replicaId }, { file });
  return { config, urls: place.urls, replicaId: place.replicaId, directory: resolve(source) };
}
