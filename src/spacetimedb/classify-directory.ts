/** What kind of SpacetimeDB directory a path is: the two kinds that DB_DIR may name, or none. */
import { join } from 'node:path';
import type { ReadableFiles } from '../core/readable-files.ts';
import { CLOG_DIR, METADATA_FILE, parseReplicaId, REPLICAS_DIR } from './file-names.ts';
import { readingFrom } from './reading-from.ts';
import { CONFIG_FILE } from './server-files.ts';

export type DirectoryKind =
  /** One database: it has `clog/`. */
  | { readonly kind: 'replica' }
  /** A server's data: it has `replicas/` or `metadata.toml`. `replicas` are paths of replica dirs, by rising id. */
  | { readonly kind: 'server'; readonly replicas: readonly string[] }
  /** Nothing has that name. */
  | { readonly kind: 'absent' }
  /** A directory without content: a database may come to be here. `lost+found` and a server's `config.toml` are none. */
  | { readonly kind: 'empty' }
  /** Not a directory, or one with another content. */
  | { readonly kind: 'other' };

/** Of a fresh file system that is mounted at the path, and what a server reads or writes before all else. */
const NO_CONTENT: ReadonlySet<string> = new Set(['lost+found', CONFIG_FILE]);

/** @throws LocalFileError when the directory cannot be read, which is not absence */
export function classifyDirectory(files: ReadableFiles, path: string): Promise<DirectoryKind> {
  return readingFrom(path, async () => {
    const facts = await files.facts(path);
    if (facts === null) return { kind: 'absent' };
    if (facts.kind !== 'directory') return { kind: 'other' };
    const names = new Set((await files.list(path)) ?? []);
    if (names.has(CLOG_DIR)) return { kind: 'replica' };
    if (names.has(REPLICAS_DIR) || names.has(METADATA_FILE)) {
      return { kind: 'server', replicas: await listReplicas(files, join(path, REPLICAS_DIR)) };
    }
    return { kind: [...names].every((name) => NO_CONTENT.has(name)) ? 'empty' : 'other' };
  });
}

async function listReplicas(files: ReadableFiles, replicasDir: string): Promise<string[]> {
  const found: { id: bigint; path: string }[] = [];
  for (const name of (await files.list(replicasDir)) ?? []) {
    const id = parseReplicaId(name);
    if (id === null) continue;
    const path = join(replicasDir, name);
    if ((await files.facts(path))?.kind === 'directory') found.push({ id, path });
  }
  return found.sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)).map(({ path }) => path);
}
