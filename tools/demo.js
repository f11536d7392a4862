// `npm run demo`: from a clean clone, with nothing but a Node (any) and npm. Installs what is missing, builds, and goes on
// under the Node that the installation brought. What is shown is in demo/show.ts.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const node = join(root, 'node_modules', '.bin', 'node');
const UNDER_OWN_NODE = 'STDB_DEMO_UNDER_OWN_NODE';

const HELP = `npm run demo [-- -keep]

Replicates a recorded SpacetimeDB database while it grows, kills the program, starts it again, restores, and compares.
-keep leaves the database, the store and the restored directory in place, and says where.`;

function fail(message) {
  console.error(`demo: ${message}`);
  process.exit(1);
}

function run(command, args, what) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (error) fail(`${what} could not be started: ${error.message}`);
  if (status !== 0) fail(`${what} failed; its own words are above`);
}

const readPackages = (path) => JSON.parse(readFileSync(join(root, path), 'utf8')).packages;

/** npm notes in node_modules what it put there; every package that is not optional must be there in its version. */
function isInstalled() {
  const note = 'node_modules/.package-lock.json';
  if (!existsSync(node) || !existsSync(join(root, note))) return false;
  const installed = readPackages(note);
  return Object.entries(readPackages('package-lock.json')).every(
    ([path, { version, optional, link }]) =>
      !path.startsWith('node_modules/') || optional || link || (installed[path] && installed[path].version === version),
  );
}

const args = process.argv.slice(2);
if (args.some((argument) => /^--?(h|help)$/.test(argument))) {
  console.log(HELP);
} else if (args.some((argument) => !/^--?keep$/.test(argument))) {
  console.error(`demo: unknown argument\n\n${HELP}`);
  process.exitCode = 2;
} else if (process.env[UNDER_OWN_NODE]) {
  import('./demo/show.ts')
    .then(({ showDemo }) => showDemo({ keep: args.length > 0 }))
    .then(
      (code) => {
        process.exitCode = code;
      },
      (error) => fail(error instanceof Error ? error.message : String(error)),
    );
} else {
  if (process.platform !== 'linux') fail('stdb-replicate runs on Linux: try this in a Linux machine or container');
  if (!isInstalled()) {
    console.log('Installing (npm ci)');
    run('npm', ['ci', '--no-audit', '--no-fund'], 'npm ci');
  }
  if (!process.env.STDB_TEST_BIN) run(node, ['tools/build.js'], 'the build');
  // Signals of the terminal reach both; this one waits for the other to clean up.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => undefined);
  const env = { ...process.env, [UNDER_OWN_NODE]: '1' };
  const { status } = spawnSync(node, ['tools/demo.js', ...args], { cwd: root, stdio: 'inherit', env });
  process.exitCode = status === null ? 1 : status;
}
