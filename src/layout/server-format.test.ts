/** Invariant: what FORMAT-SERVER.md says is what the code makes. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { crc32cValue, micros, txOffset } from '../core/types.ts';
import { encodeImageManifest } from './image-manifest.ts';
import { IMAGE_PATH_PARTS_MAX } from './image-path.ts';
import { makeGenerationName, parseKey } from './keys.ts';
import { parseRootKey, parseServerKey } from './server-keys.ts';

const section = readFileSync(new URL('./FORMAT-SERVER.md', import.meta.url), 'utf8');

function table(number: number): string[][] {
  const blocks = section.split(/\n(?!\|)/).map((block) => block.split('\n').filter((line) => line.startsWith('|')));
  const rows = blocks.filter((lines) => lines.length > 0)[number] ?? [];
  return rows.slice(2).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

test('keys: each kind has an example that is of that kind', () => {
  const rows = table(0);
  for (const [kind, example = ''] of rows) {
    const parsed = parseRootKey(example.replaceAll('`', ''));
    const found = parsed?.kind === 'server' ? parseServerKey(parsed.key)?.kind : parsed?.kind;
    expect(found, example).toBe(kind);
    if (parsed?.kind === 'replica') expect(parseKey(parsed.key)).not.toBeNull();
  }
  expect(rows.map(([kind]) => kind)).toEqual([
    'format',
    'replica',
    'head',
    'generation',
    'image-file',
    'image',
    'program',
  ]);
});

test('the manifest: members in their order', () => {
  const bytes = encodeImageManifest({
    time: micros(0n),
    files: [{ path: 'config.toml', bytes: 1, mode: 0o644, blake3: 'a'.repeat(64) }],
    directories: [],
    programs: [],
    replicas: [
      {
        replicaId: 1n,
        position: { generation: makeGenerationName(1, '1a2b3c4d'), tx: txOffset(1), crc: crc32cValue(1) },
      },
    ],
  });
  const manifest = JSON.parse(Buffer.from(bytes ?? []).toString()) as Record<string, Record<string, object>[]>;
  const members = (value: unknown): string => Object.keys(value as object).join(', ');
  const replica = manifest['replicas']?.[0];
  expect(table(1)).toEqual([
    ['`manifest.json`', members(manifest)],
    ['`manifest.json` files', members(manifest['files']?.[0])],
    ['`manifest.json` replicas', members(replica)],
    ['`manifest.json` replicas position', members(replica?.['position'])],
  ]);
});

test('the depth of paths', () => {
  expect(section).toContain(`at most ${IMAGE_PATH_PARTS_MAX} parts`);
});
