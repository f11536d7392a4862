// Who may import whom: the one table from which the linter's configuration is made (`npm run lint:config`).
// Type imports count like any other. Cycles are found by the linter's own rule. Tests beside a subject are free.
//
//   dir      below src/; `replica` means its own files, each store's folder is a zone of its own
//   imports  zones whose every file may be imported
//   files    single files of other zones that may be imported
//   types    zones of which types may be imported
//   packages the npm packages that only the zones which list them may import

const ENGINE = ['core', 'zstd', 'spacetimedb', 'layout', 'capture', 'replica'];
const STORE = ['core', 'replica'];
const ENGINES = ['replicate', 'restore', 'browse', 'retention', 'verify'];
const BELOW_DAEMON = ['core', 'zstd', 'spacetimedb', 'layout', 'capture', 'replica', 'observe', 'config'];
const STORES = ['replica/memory', 'replica/file', 'replica/s3', 'replica/wrap', 'replica/contract'];

export interface Zone {
  readonly dir: string;
  readonly imports: readonly string[];
  readonly files?: readonly string[];
  readonly types?: readonly string[];
  readonly packages?: readonly string[];
}

export const ZONES: readonly Zone[] = [
  { dir: 'core', imports: [], packages: ['@napi-rs/blake-hash', '@node-rs/crc32'] },
  { dir: 'zstd', imports: ['core'] },
  { dir: 'spacetimedb', imports: ['core', 'zstd'] },
  { dir: 'layout', imports: ['core', 'zstd'] },
  // The registry opens stores lazily; that the contract itself knows none of them is what the cycle rule proves.
  { dir: 'replica', imports: ['core', ...STORES], packages: ['fastest-levenshtein'] },
  { dir: 'replica/memory', imports: STORE },
  { dir: 'replica/file', imports: STORE },
  { dir: 'replica/s3', imports: STORE, packages: ['@aws-sdk/client-s3', '@aws-sdk/lib-storage', '@smithy/*'] },
  { dir: 'replica/wrap', imports: STORE },
  { dir: 'replica/contract', imports: STORE },
  { dir: 'capture', imports: ['core', 'zstd', 'spacetimedb'], packages: ['chokidar'] },
  { dir: 'replicate', imports: ENGINE },
  { dir: 'restore', imports: ENGINE },
  { dir: 'retention', imports: ENGINE },
  { dir: 'browse', imports: [...ENGINE, 'restore'] },
  { dir: 'verify', imports: [...ENGINE, 'restore'] },
  { dir: 'observe', imports: ['core'], packages: ['pino', 'pino-pretty', 'prom-client', 'hono', '@hono/node-server'] },
  {
    dir: 'config',
    imports: ['core'],
    // URLs of destinations and their options are the stores' own knowledge.
    files: ['replica/registry.ts', 'replica/*/*-options.ts'],
    packages: ['zod', 'yaml', 'fastest-levenshtein'],
  },
  { dir: 'daemon', imports: [...BELOW_DAEMON, ...STORES, ...ENGINES] },
  {
    dir: 'cli',
    imports: ['core', 'config', 'daemon'],
    types: ENGINES,
    packages: ['commander', 'fflate', 'fastest-levenshtein'],
  },
  { dir: 'testing', imports: ['core', 'replica', 'replica/contract', 'replica/memory', 'replica/wrap'] },
];

/** Folders of a room that has grown: under the rules of the room, whose files they may import and be imported by. */
export const PARTS = ['replicate/server', 'restore/follow', 'restore/server', 'restore/sources'];

/** What the program never imports, wherever it stands. */
export const NEVER = ['vitest', 'fast-check', 'testcontainers', 'stdb-replicate'];
