/**
 * Invariant: FORMAT.md is true. Its tables are read here and held against the exported constants and against real files,
 * which are taken apart by the offsets of the page alone.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { vectorDirectory } from '../../test/vectors/vectors.ts';
import { crc32c } from '../core/checksum.ts';
import { txOffset } from '../core/types.ts';
import { COMMIT_CRC_BYTES, COMMIT_HEADER_BYTES, decodeCommitHeader } from './commit.ts';
import * as names from './file-names.ts';
import { decodeOffsetIndex, OFFSET_INDEX_ENTRY_BYTES } from './offset-index.ts';
import {
  hashPage,
  PAGE_BYTES_MAX,
  PAGE_FIXED_HEADER_BYTES,
  PAGE_ROW_DATA_BYTES,
  PAGE_VAR_HEADER_BYTES,
} from './page.ts';
import * as record from './record-prefix.ts';
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES, SEGMENT_MAGIC } from './segment-header.ts';
import { SEGMENT_READ_BYTES_MAX } from './segment-reader.ts';
import {
  decodeSnapshotFile,
  HASH_BYTES,
  SNAPSHOT_FILE_BYTES_MAX,
  SNAPSHOT_FIXED_BYTES,
  SNAPSHOT_MAGIC,
} from './snapshot-file.ts';

const page = readFileSync(new URL('./FORMAT.md', import.meta.url), 'utf8');

type Row = readonly string[];

/** The rows of the only table in a section, without its head. */
function table(section: string): Row[] {
  const text = page.split(/^## /m).find((part) => part.startsWith(`${section}\n`));
  if (text === undefined) throw new Error(`FORMAT.md has no section ${section}`);
  const rows = text.split('\n').filter((line) => line.startsWith('|'));
  return rows.slice(2).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

/** `14`, `8k`, `10 + 8k`, `n` for given values of the letters. */
function evaluate(text: string, letters: Readonly<Record<string, number>> = {}): number {
  return text.split(' + ').reduce((sum, term) => {
    const [, factor = '', letter = ''] = /^(\d*)([a-z]?)$/.exec(term) ?? [];
    const value = letter === '' ? 1 : letters[letter];
    if (value === undefined || (factor === '' && letter === '')) throw new Error(`not an offset: ${text}`);
    return sum + Number(factor === '' ? '1' : factor) * value;
  }, 0);
}

interface Field {
  readonly name: string;
  readonly offset: number;
  readonly bytes: number;
}

/** Fields of a table with the columns offset, bytes, field; each must begin where the one before ends. */
function fields(rows: readonly Row[], letters: Readonly<Record<string, number>> = {}): Field[] {
  let end = 0;
  return rows.map(([offset = '', bytes = '', name = '']) => {
    const field = { name, offset: evaluate(offset, letters), bytes: evaluate(bytes, letters) };
    expect(field.offset).toBe(end);
    end += field.bytes;
    return field;
  });
}

const endOf = (all: readonly Field[]): number => (all.at(-1)?.offset ?? 0) + (all.at(-1)?.bytes ?? 0);

function cut(bytes: Buffer, all: readonly Field[], name: string): Buffer {
  const field = all.find((candidate) => candidate.name.startsWith(name));
  if (field === undefined) throw new Error(`FORMAT.md has no field ${name}`);
  return bytes.subarray(field.offset, field.offset + field.bytes);
}

const directory = vectorDirectory('v2-small');
const segment = readFileSync(join(directory, 'clog/00000000000000000147.stdb.log'));
const snapshotDir = join(directory, 'snapshots/00000000000000000180.snapshot_dir');
const snapshotFile = readFileSync(join(snapshotDir, '00000000000000000180.snapshot_bsatn'));

test('names', () => {
  const made: Readonly<Record<string, string>> = {
    segment: names.formatSegmentName(txOffset(7)),
    'offset index': names.formatOffsetIndexName(txOffset(7)),
    'segment lock': names.formatSegmentLockName(txOffset(7)),
    'snapshot dir': names.formatSnapshotDirName(txOffset(7)),
    'snapshot file': names.formatSnapshotFileName(txOffset(7)),
    'snapshot lock': names.formatSnapshotLockName(txOffset(7)),
    object: names.formatObjectPath('ab'.repeat(32)),
  };
  const told = table('Names').map(([what = '', name = '']) => [
    what,
    name
      .replaceAll('`', '')
      .replace('<tx>', '7'.padStart(20, '0'))
      .replace('<2 hex>', 'ab')
      .replace('<62 hex>', 'ab'.repeat(31)),
  ]);
  expect(Object.fromEntries(told)).toEqual(made);
});

test('segment header', () => {
  const all = fields(table('Segment header'));
  expect(endOf(all)).toBe(SEGMENT_HEADER_BYTES);
  expect(table('Segment header')[0]?.[3]).toBe(`\`${Buffer.from(SEGMENT_MAGIC).toString('ascii')}\``);
  expect(cut(segment, all, 'magic')).toEqual(Buffer.from(SEGMENT_MAGIC));
  expect(cut(segment, all, 'version')[0]).toBe(decodeSegmentHeader(segment).version);
  expect(cut(segment, all, 'checksum algorithm')[0]).toBe(0);
});

describe('commit', () => {
  const real = {
    0: readFileSync(join(vectorDirectory('v2-batched/v0'), 'clog/00000000000000000006.stdb.log')),
    1: readFileSync(join(vectorDirectory('v2-batched/v1'), 'clog/00000000000000000044.stdb.log')),
  };

  test.each([0, 1] as const)('version %i', (version) => {
    const commit = real[version].subarray(SEGMENT_HEADER_BYTES);
    const header = decodeCommitHeader(commit, version);
    const rows = table('Commit')
      .map(([name = '', bytes = '', ...offsets]) => [offsets[version] ?? '', bytes, name])
      .filter(([offset]) => offset !== '');
    const all = fields(rows, { n: header?.recordsBytes ?? 0 });
    expect(all.find(({ name }) => name === 'records')?.offset).toBe(COMMIT_HEADER_BYTES[version]);
    expect(endOf(all)).toBe(header?.bytes);
    expect(cut(commit, all, 'CRC32C')).toHaveLength(COMMIT_CRC_BYTES);
    expect(cut(commit, all, 'CRC32C').readUInt32LE()).toBe(crc32c(commit.subarray(0, endOf(all) - COMMIT_CRC_BYTES)));
    expect(cut(commit, all, "first transaction's offset").readBigUInt64LE()).toBe(header?.tx);
    expect(cut(commit, all, 'transactions in it').readUInt16LE()).toBe(header?.count);
    if (version === 1) expect(cut(commit, all, 'epoch').readBigUInt64LE()).toBe(header?.epoch);
  });
});

test('record prefix', () => {
  const bytes = segment.subarray(SEGMENT_HEADER_BYTES + COMMIT_HEADER_BYTES[1]);
  const all = fields(table('Record prefix'), { m: bytes.readUInt8(5) });
  expect(record.decodeRecordPrefix(bytes)).toEqual({
    reducer: cut(bytes, all, "reducer's name").toString('utf8'),
    time: cut(bytes, all, 'time').readBigInt64LE(),
    callerIdentity: Buffer.from(cut(bytes, all, "caller's identity"))
      .reverse()
      .toString('hex'),
    callerConnectionId: Buffer.from(cut(bytes, all, "caller's connection id"))
      .reverse()
      .toString('hex'),
  });
  expect(endOf(fields(table('Record prefix'), { m: record.REDUCER_NAME_BYTES_MAX }))).toBe(
    record.RECORD_PREFIX_BYTES_MAX,
  );
  const flags = [...(table('Record prefix')[0]?.[2] ?? '').matchAll(/0x[0-9a-f]{2}/g)].map(([flag]) => Number(flag));
  expect(flags).toEqual([record.RECORD_HAS_INPUTS, record.RECORD_HAS_OUTPUTS, record.RECORD_HAS_MUTATIONS]);
});

test('offset index', () => {
  const all = fields(table('Offset index'));
  const bytes = readFileSync(join(directory, 'clog/00000000000000000147.stdb.ofs'));
  expect(endOf(all)).toBe(OFFSET_INDEX_ENTRY_BYTES);
  expect(decodeOffsetIndex(bytes)[0]).toEqual({
    tx: cut(bytes, all, 'first transaction').readBigUInt64LE(),
    at: Number(cut(bytes, all, 'place').readBigUInt64LE()),
  });
});

test('snapshot file', () => {
  const rows = table('Snapshot file');
  const all = fields(rows);
  const tablesCountBytes = 4;
  expect(endOf(all) + tablesCountBytes - HASH_BYTES).toBe(SNAPSHOT_FIXED_BYTES);
  expect(rows.find(([, , name]) => name === 'magic')?.[3]).toBe(`\`${SNAPSHOT_MAGIC}\``);
  for (const [, , name = '', value = ''] of rows) {
    if (value === '') continue;
    const found = cut(snapshotFile, all, name);
    if (name === 'magic') expect(found.toString('ascii')).toBe(SNAPSHOT_MAGIC);
    else expect(found.readUIntLE(0, found.byteLength)).toBe(Number(value));
  }
  const snapshot = decodeSnapshotFile(snapshotFile);
  expect(snapshot.databaseIdentity).toBe(
    Buffer.from(cut(snapshotFile, all, 'database'))
      .reverse()
      .toString('hex'),
  );
  expect(snapshot.replicaId).toBe(cut(snapshotFile, all, 'replica id').readBigUInt64LE());
  expect(snapshot.txOffset).toBe(cut(snapshotFile, all, 'transaction offset').readBigUInt64LE());
  expect(snapshot.blobs).toHaveLength(cut(snapshotFile, all, 'number of blobs').readUInt32LE());
});

test('page', () => {
  const hash = decodeSnapshotFile(snapshotFile).tables[0]?.pages[0] ?? '';
  const bytes = readFileSync(join(snapshotDir, names.formatObjectPath(hash)));
  const all = fields(table('Page'), { k: bytes.readUInt32LE(6) });
  expect(endOf(all)).toBe(bytes.byteLength);
  expect(cut(bytes, all, 'next free')).toHaveLength(PAGE_FIXED_HEADER_BYTES);
  expect(cut(bytes, all, 'var header')).toHaveLength(PAGE_VAR_HEADER_BYTES);
  expect(cut(bytes, all, 'row data')).toHaveLength(PAGE_ROW_DATA_BYTES);
  expect(cut(bytes, all, "the page's hash").toString('hex')).toBe(hash);
  expect(hashPage(bytes)).toBe(hash);
});

test('limits', () => {
  const told = table('Limits').map(([name = '', most = '']) => [name.replaceAll('`', ''), Number(most)]);
  expect(Object.fromEntries(told)).toEqual({
    SEGMENT_READ_BYTES_MAX,
    SNAPSHOT_FILE_BYTES_MAX,
    PAGE_BYTES_MAX,
    RECORD_PREFIX_BYTES_MAX: record.RECORD_PREFIX_BYTES_MAX,
  });
});
