/** The files of the working tree that are the project's own text. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Not ours, made from ours, or data. */
const LEFT_OUT = /^(\.git|node_modules|dist|coverage|\.cache|test\/vectors\/.+\/.+)$/;

const TEXT = /(\.(ts|js|json|md|yml|yaml|example|sh|toml)|(^|\/)(Dockerfile|run|LICENSE|\.[a-z]+))$/;

/** Paths from the root, with `/`, sorted. */
export function projectFiles(directory = ''): string[] {
  return readdirSync(join(ROOT, directory), { withFileTypes: true })
    .flatMap((entry) => {
      const path = directory === '' ? entry.name : `${directory}/${entry.name}`;
      if (LEFT_OUT.test(path)) return [];
      if (entry.isDirectory()) return projectFiles(path);
      return entry.isFile() && TEXT.test(path) ? [path] : [];
    })
    .sort();
}

export const readProjectFile = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
