/** What must hold among the databases and their destinations, beyond the shape of each. */
import { basename } from 'node:path';
import { ConfigurationError } from '../core/errors.ts';
import { parseReplicaUrl, type ReplicaUrl, redactUrl } from '../replica/registry.ts';
import type { DatabaseConfig } from './config.ts';
import { formatOptionPath, type OptionPath } from './declared.ts';
import type { NamedProblem } from './issues.ts';
import type { WrittenDatabase } from './schema.ts';

/** Where a destination's objects lie: a container, and the parts of the prefix in it. */
interface Territory {
  readonly container: string;
  readonly parts: readonly string[];
}

/** One destination, and where in the file it is written. */
interface WrittenReplica {
  readonly at: OptionPath;
  readonly url: string;
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

function replicasOf({ replica, replicas = [] }: WrittenDatabase, index: number): WrittenReplica[] {
  if (replica) return [{ at: ['dbs', index, 'replica', 'url'], url: replica.url }];
  return replicas.map(({ url }, nth) => ({ at: ['dbs', index, 'replicas', nth, 'url'], url }));
}

/** `replica: x` is `replicas: [x]`. */
export const databaseOf = (written: WrittenDatabase): DatabaseConfig => ({
  path: written.path,
  replicas: replicasOf(written, 0).map(({ url }) => ({ url })),
  extraFiles: written['extra-files'] ?? [],
});

/** A database inside a server data directory may stand beside it, for a destination of its own. */
function checkPaths(dbs: readonly WrittenDatabase[]): NamedProblem[] {
  return dbs.flatMap(({ path }, index) => {
    const at = ['dbs', index, 'path'];
    const same = dbs.findIndex((other) => other.path === path);
    return same < index ? [problem(at, `${path} is already dbs[${same}]`)] : [];
  });
}

/** They are stored by their last parts alone. */
function checkExtraFiles(dbs: readonly WrittenDatabase[]): NamedProblem[] {
  return dbs.flatMap((database, index) => {
    const names = (database['extra-files'] ?? []).map((path) => basename(path));
    return names.flatMap((name, nth) => {
      const at = ['dbs', index, 'extra-files', nth];
      if (name === '') return [problem(at, 'the root directory is no file')];
      return names.indexOf(name) < nth ? [problem(at, `${name} is the name of another of them`)] : [];
    });
  });
}

function checkReplicas(dbs: readonly WrittenDatabase[]): NamedProblem[] {
  const problems: NamedProblem[] = [];
  const known: { readonly owner: string; readonly territory: Territory }[] = [];
  const several = (index: number): boolean => (dbs[index]?.replicas?.length ?? 0) > 1;
  for (const [index, database] of dbs.entries()) {
    for (const { at, url } of replicasOf(database, index)) {
      const parsed = tryParse(url);
      if (typeof parsed === 'string') {
        problems.push(problem(at, parsed));
        continue;
      }
      const territory = territoryOf(parsed);
      for (const other of known) {
        if (!overlap(territory, other.territory)) continue;
        const isSame = territory.parts.length === other.territory.parts.length;
        const how = isSame ? 'is the same place as that' : 'lies in the same prefix as that';
        const hint = 'give each database a prefix of its own';
        problems.push(problem(at, `${redactUrl(url)} ${how} of ${other.owner}: ${hint}`));
      }
      const around = dbs.find(({ path }) => isInside(territory, path));
      if (around) problems.push(problem(at, `${redactUrl(url)} lies inside the database ${around.path}`));
      known.push({ owner: several(index) ? formatOptionPath(at.slice(0, -1)) : `dbs[${index}]`, territory });
    }
  }
  return problems;
}

const problem = (path: OptionPath, message: string): NamedProblem => ({
  path,
  atKey: false,
  message: `${formatOptionPath(path)}: ${message}`,
});

export const checkDatabases = (dbs: readonly WrittenDatabase[]): NamedProblem[] => [
  ...checkPaths(dbs),
  ...checkReplicas(dbs),
  ...checkExtraFiles(dbs),
];
