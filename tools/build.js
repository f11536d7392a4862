// Builds dist/ from src/: nothing of an earlier build survives, and the program is executable.
import { execFileSync } from 'node:child_process';
import { chmodSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
process.chdir(root);

rmSync('dist', { recursive: true, force: true });
try {
  execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'], {
    stdio: 'inherit',
  });
} catch (error) {
  // The compiler has already said what is wrong; a stack of this script would only hide it.
  process.exit(error.status ?? 1);
}
chmodSync('dist/bin.js', 0o755);
