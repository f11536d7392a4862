/**
 * Reads the configuration: a flag wins over the environment, that over the file, that over the default. All problems
 * are reported at once.
 */
import { readFile as readFileOf } from 'node:fs/promises';
import { ConfigurationError, localFileError, systemCode } from '../core/errors.ts';
import type { Config, DatabaseArgument, DrillConfig } from './config.ts';
import { checkDatabases, databaseOf } from './databases.ts';
import { declaredOptions, formatOptionPath, type OptionPath } from './declared.ts';
import type { Environment } from './expand.ts';
import { coerceText, type NamedProblem, problemsOf } from './issues.ts';
import { configurationError, type Place, type Problem } from './problem.ts';
import { type CheckedConfig, configSchema, configSchemaWithoutDatabases } from './schema.ts';
import { readYaml, type YamlSource } from './yaml-source.ts';

export const DEFAULT_CONFIG_PATH = '/etc/stdb-replicate.yml';

/** Configurations are small; a log or a dump that is given by mistake is not read into memory. */
const FILE_CHARACTERS_MAX = 2 ** 20;

export interface LoadOptions {
  /** The file; null reads none. */
  readonly path: string | null;
  readonly env: Environment;
  /** Options given as flags, by the flag's name without its dash. */
  readonly flags?: Readonly<Record<string, string | undefined>>;
  /** Databases given as arguments: they stand for the file's `dbs`. */
  readonly dbs?: readonly DatabaseArgument[];
  readonly readFile?: (path: string) => Promise<string>;
}

export type Origin = 'default' | 'file' | 'environment' | 'flag' | 'argument';

export interface LoadedConfig {
  readonly config: Config;
  readonly file: string | null;
  /** Where the value of each declared single option and of `dbs` came from, by its name (`log.level`). */
  readonly origins: ReadonlyMap<string, Origin>;
}

/** The file that is read where no `-config` is given. */
export const defaultConfigPath = (env: Environment): string => env['STDB_REPLICATE_CONFIG'] || DEFAULT_CONFIG_PATH;

const noYaml: YamlSource = {
  value: {},
  problems: [],
  placeOf: () => null,
  placeOfKey: () => null,
  isExpanded: () => false,
};

async function readSource({ path, env, readFile }: LoadOptions): Promise<YamlSource> {
  if (path === null) return noYaml;
  const read = readFile ?? ((name: string) => readFileOf(name, 'utf8'));
  let text: string;
  try {
    text = await read(path);
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EISDIR') {
      const what =
        code === 'EISDIR'
          ? `${path} is a directory, not a configuration file`
          : `there is no configuration file ${path}`;
      throw new ConfigurationError(what, {
        cause: error,
        hint:
          'Name one with -config FILE or STDB_REPLICATE_CONFIG; replicate.yml.example shows what may stand in it. Given a ' +
          'URL, s3://bucket/prefix or file:///path, most commands do without.',
        facts: { file: path },
      });
    }
    throw localFileError('read the configuration', path, error);
  }
  if (text.length > FILE_CHARACTERS_MAX) {
    throw new ConfigurationError(`${path} is longer than a configuration can be (1 MiB)`, { facts: { file: path } });
  }
  return readYaml(text, env);
}

const isMapping = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A copy of `root` with `value` at `path`; what stands in the way and is no mapping is left for the check to find. */
function withValue(root: unknown, path: OptionPath, value: unknown): unknown {
  const [part, ...rest] = path;
  if (part === undefined) return value;
  if (root !== undefined && !isMapping(root)) return root;
  return { ...root, [part]: withValue(root?.[part], rest, value) };
}

function coerceExpanded(value: unknown, source: YamlSource, path: OptionPath = []): unknown {
  if (Array.isArray(value)) return value.map((item, index) => coerceExpanded(item, source, [...path, index]));
  if (isMapping(value)) {
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, coerceExpanded(item, source, [...path, key])]),
    );
  }
  return typeof value === 'string' && source.isExpanded(path) ? coerceText(path, value) : value;
}

interface Override {
  readonly path: OptionPath;
  readonly value: unknown;
  readonly from: Origin;
  /** For messages. */
  readonly label: string;
}

/**
 * The environment and the flags. An empty variable counts as unset. Unknown STDB_REPLICATE_… variables are no errors:
 * Kubernetes makes some by itself for a Service of that name (STDB_REPLICATE_PORT, …_SERVICE_HOST).
 */
function overridesOf({ env, flags, dbs }: LoadOptions): Override[] {
  const found: Override[] = [];
  for (const { path, environmentName, facts } of declaredOptions) {
    const fromEnvironment = environmentName === null ? undefined : env[environmentName];
    if (environmentName !== null && fromEnvironment !== undefined && fromEnvironment !== '') {
      const label = `environment variable ${environmentName}`;
      found.push({ path, value: coerceText(path, fromEnvironment), from: 'environment', label });
    }
    const fromFlag = facts.flag === undefined ? undefined : flags?.[facts.flag];
    if (fromFlag !== undefined)
      found.push({ path, value: coerceText(path, fromFlag), from: 'flag', label: `-${facts.flag}` });
  }
  if (dbs) found.push({ path: ['dbs'], value: dbs, from: 'argument', label: 'DB_DIR URL' });
  return found;
}

const resolve = (checked: CheckedConfig, env: Environment): Config => ({
  addr: checked.addr ?? null,
  owner: checked.owner ?? (env['POD_NAME'] || null),
  takeover: checked.takeover,
  leaseTtlMs: checked['lease-ttl'],
  shutdownTimeoutMs: checked['shutdown-timeout'],
  memoryBytes: checked.memory,
  compressionLevel: checked['compression-level'],
  requestTimeoutMs: checked['request-timeout'],
  log: checked.log,
  levels: checked.levels.map(({ interval }) => ({ intervalMs: interval })),
  drill: checked.drill === undefined ? null : drillOf(checked.drill),
  dbs: (checked.dbs ?? []).map(databaseOf),
});

const drillOf = (checked: NonNullable<CheckedConfig['drill']>): DrillConfig => ({
  everyMs: checked.every,
  exec: checked.exec ?? null,
  execTimeoutMs: checked['exec-timeout'],
  scratch: checked.scratch ?? null,
});

const isSamePlace = (a: Place | null, b: Place | null): boolean =>
  a !== null && b !== null && a.line === b.line && a.column === b.column;

function originsOf(written: unknown, overrides: readonly Override[]): Map<string, Origin> {
  const origins = new Map<string, Origin>();
  for (const { path } of declaredOptions.filter((declared) => !declared.path.includes('[]'))) {
    const inFile = path.reduce<unknown>((value, part) => (isMapping(value) ? value[part] : undefined), written);
    origins.set(formatOptionPath(path), inFile === undefined ? 'default' : 'file');
  }
  for (const { path, from } of overrides) origins.set(formatOptionPath(path), from);
  return origins;
}

/** @throws ConfigurationError that lists every problem; LocalFileError where the file cannot be read */
export async function loadConfigWithOrigins(options: LoadOptions): Promise<LoadedConfig> {
  const { path: file, env } = options;
  const source = await readSource(options);
  if (source.value === undefined) throw configurationError(source.problems, file);
  const overrides = overridesOf(options);
  const overrideAt = (path: OptionPath): Override | undefined =>
    overrides.findLast((override) => override.path.every((part, index) => path[index] === part));
  const place = ({ path, atKey, message }: NamedProblem): Problem => {
    const override = overrideAt(path);
    if (!override) return { place: atKey ? source.placeOfKey(path) : source.placeOf(path), message };
    // Whoever wrote a flag or a variable does not know it by its place in the file.
    const plain = message.replace(/^[a-z.-]+(\[\d+\][a-z.-]*)*:? /, '');
    return { place: null, origin: override.label, message: plain };
  };

  // An empty file says nothing, as one without the file would.
  const inFile = coerceExpanded(source.value ?? {}, source);
  const written = overrides.reduce((root, { path, value }) => withValue(root, path, value), inFile);
  const schema = file === null ? configSchemaWithoutDatabases : configSchema;
  const result = schema.safeParse(written, { reportInput: true });
  const databases = configSchema.shape.dbs.safeParse(isMapping(written) ? written['dbs'] : undefined);
  const found = [...problemsOf(result.error?.issues ?? [], written), ...checkDatabases(databases.data ?? [])];
  const problems = [...source.problems];
  for (const problem of found.map(place)) {
    // A value whose variable is not set is wrong once, not twice.
    if (!source.problems.some((known) => isSamePlace(known.place, problem.place))) problems.push(problem);
  }
  if (result.data === undefined || problems.length > 0) throw configurationError(problems, file);
  return { config: resolve(result.data, env), file, origins: originsOf(inFile, overrides) };
}

/** @throws ConfigurationError that lists every problem; LocalFileError where the file cannot be read */
export const loadConfig = async (options: LoadOptions): Promise<Config> =>
  (await loadConfigWithOrigins(options)).config;
