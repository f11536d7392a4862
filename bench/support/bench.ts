/** What a bench gets, and what it gives: rows of one table. */
import type { BenchStore } from './bench-store.ts';

/** What was measured, what is aimed at, what came out, and what a peer or the machine itself does in the same run. */
export interface Row {
  readonly what: string;
  readonly goal: string;
  readonly figure: string;
  readonly beside: string;
}

export interface BenchContext {
  /** A short run: smaller data, fewer and shorter rounds. */
  readonly quick: boolean;
  /** Also what takes many minutes and gigabytes. */
  readonly large: boolean;
  /** The built program, dist/bin.js. */
  readonly program: string;
  /** A directory for everything; removed at the end. */
  readonly scratch: string;
  /** Null where no S3 server is at hand: what needs one is left out, and said. */
  readonly s3: BenchStore | null;
  readonly say: (line: string) => void;
}

export interface Bench {
  readonly name: string;
  readonly run: (context: BenchContext) => Promise<readonly Row[]>;
}

export const MB = 1_000_000;
export const MIB = 1_048_576;

export const seconds = (value: number): string => `${value.toFixed(value < 10 ? 2 : 1)} s`;
export const megabytes = (bytes: number): string => `${(bytes / MB).toFixed(bytes < 100 * MB ? 1 : 0)} MB`;
export const mebibytes = (bytes: number): string => `${(bytes / MIB).toFixed(0)} MiB`;
export const rate = (bytes: number, inSeconds: number): string => `${(bytes / MB / inSeconds).toFixed(0)} MB/s`;
export const milliseconds = (ms: number): string => `${ms.toFixed(0)} ms`;

/** @param share in [0, 1] */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}
