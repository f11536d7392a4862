/**
 * How fast one core checks commits: order, CRC32C, time. Commits of 1 KiB with a reducer's record, pushed in pieces of
 * 256 KiB (which cut one commit each), of 1 MiB, and one commit of 64 MiB that never lies whole in a piece.
 * Promise: at least 1 GB/s on commits of 1 KiB.
 */
import { pathToFileURL } from 'node:url';
import { micros, txOffset } from '../src/core/types.ts';
import { encodeCommit } from '../src/spacetimedb/commit.ts';
import { CommitScanner } from '../src/spacetimedb/commit-scanner.ts';
import { encodeRecord } from '../src/spacetimedb/record-prefix.ts';

export interface BenchResult {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
}

const LOG_BYTES = 64 * 1024 * 1024;
const ROUNDS = 7;

function makeLog(commitBytes: number): Uint8Array {
  const args = new Uint8Array(commitBytes - 22 - 4 - 70).map((_, index) => (index * 31) & 0xff);
  const commits: Uint8Array[] = [];
  for (let tx = 0; tx * commitBytes < LOG_BYTES; tx++) {
    const time = micros(1_795_000_000_000_000n + BigInt(tx) * 500n);
    const records = encodeRecord({ reducer: 'player_move', time, args });
    commits.push(encodeCommit({ version: 1, tx: txOffset(tx), records }));
  }
  return Buffer.concat(commits);
}

/** Megabytes (10^6) a second, the best round. */
function measure(log: Uint8Array, pieceBytes: number): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const scanner = new CommitScanner({ version: 1, expectedTx: txOffset(0) });
    const start = performance.now();
    for (let at = 0; at < log.byteLength; at += pieceBytes) scanner.push(log.subarray(at, at + pieceBytes));
    best = Math.min(best, performance.now() - start);
    if (scanner.end !== 10 + log.byteLength) throw new Error(`the scan ended at byte ${scanner.end}`);
  }
  return Math.round(log.byteLength / 1000 / best);
}

export async function benchCommitScan(): Promise<BenchResult[]> {
  const small = makeLog(1024);
  const large = makeLog(LOG_BYTES);
  return [
    { name: 'commit scan, 1 KiB commits, 256 KiB pieces', value: measure(small, 256 * 1024), unit: 'MB/s' },
    { name: 'commit scan, 1 KiB commits, 1 MiB pieces', value: measure(small, 1024 * 1024), unit: 'MB/s' },
    { name: 'commit scan, one 64 MiB commit, 256 KiB pieces', value: measure(large, 256 * 1024), unit: 'MB/s' },
  ];
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const { name, value, unit } of await benchCommitScan()) console.log(`${name}: ${value} ${unit}`);
}
