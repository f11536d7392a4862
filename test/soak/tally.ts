/** What happened in a soak, counted, and told as lines and a table. */

const COUNTS = [
  'cycles',
  'databases',
  'transactions',
  'segments',
  'snapshots',
  'replicator kills',
  'replicator freezes',
  'replicator restarts',
  'writer kills',
  'outages',
  'pruned segments',
  'restores in flight',
  'restores at rest',
  'whole lines compared',
  'commits compared',
  'states judged by the engine',
  'requests to the S3 store',
  'log objects',
  'stored snapshots',
] as const;

export type Count = (typeof COUNTS)[number];

export class Tally {
  readonly counts = new Map<Count, number>(COUNTS.map((name) => [name, 0]));
  /** By reason, of both stores. */
  readonly generations = new Map<string, number>();
  readonly outages = new Map<string, number>();
  /** Exit codes of the replicator after SIGTERM. */
  readonly exitCodes = new Map<string, number>();
  readonly anomalies: string[] = [];
  memoryMax = 0;
  readonly #signal: AbortSignal;
  readonly #lags: number[] = [];
  #cycleLags: number[] = [];

  /** @param signal of an interruption: it reaches every process of the terminal, and what they then do means nothing */
  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** Something that must not be. */
  note(anomaly: string): void {
    if (!this.#signal.aborted) this.anomalies.push(anomaly);
  }

  add(name: Count, count = 1): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + count);
  }

  get(name: Count): number {
    return this.counts.get(name) ?? 0;
  }

  addTo(which: 'generations' | 'outages' | 'exitCodes', name: string): void {
    this[which].set(name, (this[which].get(name) ?? 0) + 1);
  }

  /** Seconds, of one database at one destination, while nothing was wrong. */
  addLag(seconds: number): void {
    this.#lags.push(seconds);
    this.#cycleLags.push(seconds);
  }

  /** The 99th percentile of the lags since the last call, in seconds; null without any. */
  takeCycleLag(): number | null {
    const lag = percentile(this.#cycleLags, 0.99);
    this.#cycleLags = [];
    return lag;
  }

  table(): string {
    const rows: (readonly [string, string])[] = [...this.counts].map(([name, count]) => [name, `${count}`]);
    rows.push(
      ['outages by kind', list(this.outages)],
      ['generations by reason', list(this.generations)],
      ['exit codes after SIGTERM', list(this.exitCodes)],
      ['lag in calm, p50 · p99', [0.5, 0.99].map((share) => seconds(percentile(this.#lags, share))).join(' · ')],
      ['peak memory of a replicator', mebibytes(this.memoryMax)],
      ['anomalies', `${this.anomalies.length}`],
    );
    const width = Math.max(...rows.map(([name]) => name.length));
    return rows.map(([name, value]) => `| ${name.padEnd(width)} | ${value} |`).join('\n');
  }
}

export const seconds = (value: number | null): string => (value === null ? '–' : `${value.toFixed(2)} s`);

export const mebibytes = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(0)} MiB`;

const list = (counts: ReadonlyMap<string, number>): string =>
  [...counts].map(([name, count]) => `${name} ${count}`).join(', ') || 'none';

function percentile(values: readonly number[], share: number): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? null;
}
