/** Invariant: each name is exactly one value and back; everything else is null, and no name becomes another path. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AssertionError } from '../core/errors.ts';
import { txOffset, U64_MAX } from '../core/types.ts';
import * as names from './file-names.ts';

const anyTx = fc.bigInt({ min: 0n, max: U64_MAX }).map(txOffset);

const KINDS = [
  ['segment', names.formatSegmentName, names.parseSegmentName, '00000000000000000147.stdb.log'],
  ['offset index', names.formatOffsetIndexName, names.parseOffsetIndexName, '00000000000000000147.stdb.ofs'],
  ['segment lock', names.formatSegmentLockName, names.parseSegmentLockName, '00000000000000000147.stdb.lock'],
  ['snapshot dir', names.formatSnapshotDirName, names.parseSnapshotDirName, '00000000000000000147.snapshot_dir'],
  ['snapshot file', names.formatSnapshotFileName, names.parseSnapshotFileName, '00000000000000000147.snapshot_bsatn'],
  ['snapshot lock', names.formatSnapshotLockName, names.parseSnapshotLockName, '00000000000000000147.lock'],
] as const;

describe.each(KINDS)('the name of a %s', (_, format, parse, example) => {
  test('is as a server writes it', () => {
    expect(format(txOffset(147))).toBe(example);
    expect(parse(example)).toBe(147n);
  });

  test('comes back from every offset', () => {
    fc.assert(fc.property(anyTx, (tx) => parse(format(tx)) === tx));
  });

  test('is refused when anything is different', () => {
    for (const name of [
      '',
      example.slice(1),
      `0${example}`,
      `${example}~`,
      `${example}\n`,
      `./${example}`,
      example.replace('147', '14a'),
      example.replace('00147', '-0147'),
      example.replace(/^\d{20}/, '18446744073709551616'),
      example.toUpperCase(),
    ]) {
      expect(parse(name)).toBeNull();
    }
    expect(KINDS.filter(([, , other]) => other(example) !== null)).toHaveLength(1);
  });

  test('never throws for any text, and what it accepts is what it formats', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^\d{20}\.[a-z_.]{0,20}$/)), (name) => {
        const tx = parse(name);
        return tx === null || format(tx) === name;
      }),
    );
  });
});

const HASH = 'bfee21bc0841f79ebb4b9577c0bbca75447c13190559dbbf9161a961ef114be0';

describe('an object path', () => {
  test('is split after two digits', () => {
    const path = `objects/bf/${HASH.slice(2)}`;
    expect(names.formatObjectPath(HASH)).toBe(path);
    expect(names.parseObjectPath(path)).toBe(HASH);
  });

  test('is null for other paths', () => {
    for (const path of [
      HASH,
      `objects/${HASH}`,
      `objects/bf/${HASH.slice(2)}._tmp`,
      `objects/b/f${HASH.slice(2)}`,
      `objects/bf/${HASH.slice(3)}`,
      `objects/BF/${HASH.slice(2)}`,
      `objects/../${HASH.slice(2)}`,
      `/objects/bf/${HASH.slice(2)}`,
    ]) {
      expect(names.parseObjectPath(path)).toBeNull();
    }
  });

  test('is made of hashes only: anything else is our bug', () => {
    for (const hash of ['', '..', HASH.slice(1), HASH.toUpperCase(), `${HASH.slice(0, -3)}/..`]) {
      expect(() => names.formatObjectPath(hash)).toThrow(AssertionError);
    }
  });
});

describe('a replica id', () => {
  test('is a u64 without leading zeros', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: U64_MAX }), (id) => names.parseReplicaId(names.formatReplicaId(id)) === id),
    );
    for (const name of ['', '01', '-1', '1 ', '1.0', '18446744073709551616', '..']) {
      expect(names.parseReplicaId(name)).toBeNull();
    }
  });
});
