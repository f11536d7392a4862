/** What must hold among the databases and their destinations, beyond the shape of each. */
import { ConfigurationError } from '../core/errors.ts';
import { parseReplicaUrl, type ReplicaUrl, redactUrl } from '../replica/registry.ts';
import type { DatabaseConfig } from './config.ts';
import type { NamedProblem } from './issues.ts';

/** Where a destination's objects lie: a container, and the parts of the prefix in it. */
interface Territory {
  readonly container: string;
  readonly parts: readonly string[];
}

const partsOf = (path: string): string[] => path.split('/').filter((part) => part !== '');

/** The region is no part of it: a bucket's name is the same bucket in all of them. */
function territoryOf(url: ReplicaUrl): Territory {
  if (url.scheme === 'file') return { container: 'file:', parts: partsOf(url.root) };
  return { container: `s3:${url.bucket}@${url.endpoint?.replace(/\/+$/, '') ?? ''}`, parts: partsOf(url.prefix) };
}

const startsWith = (longer: readonly string[], shorter: readonly string[]): boolean =>
  shorter.every((part, index) => longer[index] === part);

const overlap = (a: Territory, b: Territory): boolean =>
  a.container === b.container && (startsWith(a.parts, b.parts) || startsWith(b.parts, a.parts));

/** The parsed URL, or what is wrong with it. */
function tryParse(url: string): ReplicaUrl | string {
  try {
    return parseReplicaUrl(url);
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return `${error.message}${error.hint === undefined ? '' : ` (${error.hint})`}`;
  }
}

const isInside = ({ container, parts }: Territory, path: string): boolean =>
  container === 'file:' && startsWith(parts, partsOf(path));

export function checkDatabases(dbs: readonly DatabaseConfig[]): NamedProblem[] {
  const problems: NamedProblem[] = [];
  const add = (path: NamedProblem['path'], message: string): void =>
    void problems.push({ path, atKey: false, message });
  const territories: { index: number; territory: Territory }[] = [];
  for (const [index, { path, replica }] of dbs.entries()) {
    const samePath = dbs.findIndex((other) => other.path === path);
    if (samePath < index) add(['dbs', index, 'path'], `dbs[${index}].path: ${path} is already dbs[${samePath}]`);
    const urlPath = ['dbs', index, 'replica', 'url'];
    const parsed = tryParse(replica.url);
    if (typeof parsed === 'string') {
      add(urlPath, `dbs[${index}].replica.url: ${parsed}`);
      continue;
    }
    const territory = territoryOf(parsed);
    for (const other of territories) {
      if (!overlap(territory, other.territory)) continue;
      const same = territory.parts.length === other.territory.parts.length;
      const how = same ? 'is the same place as that' : 'lies in the same prefix as that';
      add(
        urlPath,
        `dbs[${index}].replica.url: ${redactUrl(replica.url)} ${how} of dbs[${other.index}]: give each database a prefix of its own`,
      );
    }
    const around = dbs.find((database) => isInside(territory, database.path));
    if (around)
      add(urlPath, `dbs[${index}].replica.url: ${redactUrl(replica.url)} lies inside the database ${around.path}`);
    territories.push({ index, territory });
  }
  return problems;
}
