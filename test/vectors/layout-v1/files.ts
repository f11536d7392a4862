/** A store of format version 1 as plain files. What it holds: PROVENANCE.md. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** One database's prefix. To be read, not changed. */
export const LAYOUT_STORE = fileURLToPath(new URL('./store/', import.meta.url));

/** All keys, in UTF-8 order, with their sizes. */
export function layoutObjects(): { key: string; size: number }[] {
  const keys = readdirSync(LAYOUT_STORE, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}/${entry.name}`.slice(LAYOUT_STORE.length).replace(/^\//, ''));
  return keys.toSorted().map((key) => ({ key, size: readLayoutObject(key).byteLength }));
}

export const readLayoutObject = (key: string): Buffer => readFileSync(`${LAYOUT_STORE}/${key}`);
