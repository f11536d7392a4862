/**
 * Invariant: FORMAT.md is true. Its tables and examples are read here and held against the exported constants and
 * against the store in `test/vectors/layout-v1/`.
 */
import { readFileSync } from 'node:fs';
import * as zlib from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { layoutObjects, readLayoutObject } from '../../test/vectors/layout-v1/files.ts';
import { frameLength } from '../zstd/frame-header.ts';
import { WINDOW_BYTES_MAX } from '../zstd/frame.ts';
import { encodeSeekTable, SEEK_TABLE_SKIPPABLE_MAGIC, SEEKABLE_MAGIC } from '../zstd/seek-table.ts';
import { GENERATION_REASONS } from './generation-document.ts';
import { IMAGE_FILE_BYTES_MAX, IMAGE_MANIFEST_BYTES_MAX } from './image-manifest.ts';
import { DOCUMENT_BYTES_MAX, FORMAT_VERSION } from './json-document.ts';
import { GENERATION_NUMBER_MAX, LEVEL_MAX, parseKey } from './keys.ts';
import { LOG_FRAME_PLAIN_BYTES_MAX, LOG_OBJECT_FRAMES_MAX } from './log-object.ts';
import { MANIFEST_LINE_BYTES_MAX } from './manifest.ts';
import { MANIFEST_FRAME_PLAIN_BYTES_MAX } from './manifest-stream.ts';
import { OBJECT_PLAIN_BYTES_MAX, PACK_BYTES_MAX, PACK_BYTES_TARGET } from './pack.ts';
import { IMAGE_FILES_MAX } from './server-keys.ts';

const page = readFileSync(new URL('./FORMAT.md', import.meta.url), 'utf8');

/** The rows of the first table in a section, without its head; inner tables of a section by their number. */
function table(section: string, number = 0): string[][] {
  const text = page.split(/^## /m).find((part) => part.startsWith(`${section}\n`)) ?? '';
  const tables = text.split(/\n(?!\|)/).map((block) => block.split('\n').filter((line) => line.startsWith('|')));
  const rows = tables.filter((lines) => lines.length > 0)[number];
  if (rows === undefined) throw new Error(`FORMAT.md has no table ${number} in section ${section}`);
  return rows.slice(2).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}
const keys = layoutObjects().map(({ key }) => key);
const sample = (kind: string): string =>
  keys.find((key) => parseKey(key)?.kind === kind && !key.includes('00000001-')) ??
  keys.find((key) => parseKey(key)?.kind === kind) ??
  '';
const members = (value: unknown): string => Object.keys(value as object).join(', ');

describe('FORMAT.md', () => {
  test('is of the version that the code writes', () => {
    expect(page).toMatch(new RegExp(`^# .*format version ${FORMAT_VERSION}$`, 'm'));
  });

  test('keys: each kind has an example, which lies in the vector', () => {
    const rows = table('Keys');
    for (const [kind, example = ''] of rows) {
      const key = example.replaceAll('`', '');
      expect(parseKey(key)?.kind).toBe(kind);
      expect(keys).toContain(key);
    }
    expect(new Set(rows.map(([kind]) => kind))).toEqual(new Set(keys.map((key) => parseKey(key)?.kind)));
  });

  test('keys: the parts of a log object are those of the parsed name', () => {
    const parsed = parseKey(sample('log'));
    const named = table('Keys', 1).flatMap(([parts = '']) => parts.split(', '));
    expect(parsed?.kind === 'log' && members(parsed.name)).toBe(`generation, ${named.join(', ')}`);
  });

  test('documents: members in their order', () => {
    for (const [name = '', expected] of table('Documents')) {
      const [, file = '', part] = /^`(.*)\.json`(?: (\w+))?$/.exec(name) ?? [];
      const document = JSON.parse(readLayoutObject(sample(file)).toString()) as Record<string, unknown>;
      expect(members(part === undefined ? document : document[part]), name).toBe(expected);
    }
  });

  test('reasons of generations', () => {
    expect(/`reason` is one of: ([^.]*)\./.exec(page)?.[1]?.split(', ')).toEqual([...GENERATION_REASONS]);
  });

  test('the seek table, byte by byte', () => {
    const frames = [
      { bytes: 0x01020304, plainBytes: 0x05060708 },
      { bytes: 9, plainBytes: 10 },
    ];
    const encoded = Buffer.from(encodeSeekTable(frames));
    const at = (text: string): number =>
      text === '8' || text === '0' || text === '4' ? Number(text) : Number(text.split(' ')[0]) + 8 * frames.length;
    const read = (offset: string, size: string): number => encoded.readUIntLE(at(offset), Number(size));
    const rows = table('Log objects');
    expect(rows).toHaveLength(6);
    for (const [offset = '', size = '', value = ''] of rows) {
      if (value.startsWith('0x')) expect(read(offset, size)).toBe(Number(value));
      else if (value === 'bytes that follow') expect(read(offset, size)).toBe(encoded.byteLength - 8);
      else if (value === 'frames') expect(read(offset, size)).toBe(frames.length);
      else if (value === '0') expect(read(offset, size)).toBe(0);
      else
        expect([encoded.readUInt32LE(at(offset)), encoded.readUInt32LE(at(offset) + 4)]).toEqual(
          Object.values(frames[0]!),
        );
    }
    expect(rows.map((row) => row[2])).toContain(`0x${SEEK_TABLE_SKIPPABLE_MAGIC.toString(16).toUpperCase()}`);
    expect(rows.map((row) => row[2])).toContain(`0x${SEEKABLE_MAGIC.toString(16).toUpperCase()}`);
  });

  test('manifests: members in their order', () => {
    const stored = readLayoutObject(sample('manifest'));
    expect(frameLength(stored)).toBe(stored.byteLength);
    const lines = zlib.zstdDecompressSync(stored).toString().trimEnd().split('\n');
    const [first, ...rest] = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    const seen: Record<string, string> = {
      first: members(first),
      'snapshotFile, commit': members(first?.['snapshotFile']),
      others: members(rest[0]),
      last: members(rest.at(-1)),
    };
    expect(Object.fromEntries(table('Packs and manifests'))).toEqual(seen);
    expect(members(first?.['commit'])).toBe(seen['snapshotFile, commit']);
    expect(rest.at(-1)?.['lines']).toBe(lines.length - 1);
  });

  test('limits', () => {
    const limits = {
      DOCUMENT_BYTES_MAX,
      IMAGE_MANIFEST_BYTES_MAX,
      IMAGE_FILE_BYTES_MAX,
      IMAGE_FILES_MAX,
      LOG_FRAME_PLAIN_BYTES_MAX,
      LOG_OBJECT_FRAMES_MAX,
      MANIFEST_FRAME_PLAIN_BYTES_MAX,
      MANIFEST_LINE_BYTES_MAX,
      PACK_BYTES_TARGET,
      PACK_BYTES_MAX,
      OBJECT_PLAIN_BYTES_MAX,
      WINDOW_BYTES_MAX,
      GENERATION_NUMBER_MAX,
      LEVEL_MAX,
    };
    expect(table('Limits')).toEqual(Object.entries(limits).map(([name, value]) => [name, String(value)]));
  });
});
