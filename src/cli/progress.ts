/** How a restore shows where it is: one line in place on a terminal, a line every few seconds elsewhere, or NDJSON. */
import type { RestoreProgress } from '../restore/restore.ts';
import type { OutputStream } from './io.ts';
import { humanBytes, humanDuration } from './units.ts';

export type ProgressMode = 'auto' | 'plain' | 'json' | 'none';

const BAR_INTERVAL_MS = 100;
const PLAIN_INTERVAL_MS = 5_000;
/** What is over sooner needs no lines that say so. */
const PLAIN_SILENCE_MS = 2_000;
const BAR_COLUMNS = 24;
/** The rate is that of the last seconds: what the store gives now, not what it gave at first. */
const RATE_WINDOW_MS = 10_000;
/** Ten thousand objects may be restored in a second: each as a sample would make the meter the slowest part. */
const SAMPLE_INTERVAL_MS = 100;

const PHASES: Readonly<Record<RestoreProgress['phase'], string>> = {
  plan: 'planning',
  search: 'searching',
  fetch: 'restoring',
  sync: 'syncing to disk',
  done: 'done',
};

interface Sample {
  readonly at: number;
  readonly bytes: number;
}

export interface Speed {
  readonly bytesPerSecond: number;
  readonly etaMs: number | null;
}

/** Bytes a second over the last seconds, and what is left at that pace. */
export class RateMeter {
  readonly #samples: Sample[] = [];

  measure(at: number, { bytesDone, bytesTotal }: Pick<RestoreProgress, 'bytesDone' | 'bytesTotal'>): Speed {
    const samples = this.#samples;
    while (samples[0] !== undefined && at - samples[0].at > RATE_WINDOW_MS) samples.shift();
    const last = samples.at(-1);
    if (last === undefined || at - last.at >= SAMPLE_INTERVAL_MS) samples.push({ at, bytes: bytesDone });
    const [first = { at, bytes: bytesDone }] = samples;
    const elapsed = at - first.at;
    const bytesPerSecond = elapsed <= 0 ? 0 : Math.max(0, ((bytesDone - first.bytes) * 1000) / elapsed);
    const etaMs = bytesPerSecond === 0 ? null : (Math.max(0, bytesTotal - bytesDone) * 1000) / bytesPerSecond;
    return { bytesPerSecond, etaMs };
  }
}

const fractionOf = ({ bytesDone, bytesTotal }: RestoreProgress): number =>
  bytesTotal <= 0 ? 0 : Math.min(1, bytesDone / bytesTotal);

/** `restoring  42 %  1.3 GiB of 3.0 GiB  180 MiB/s  10 s left` */
export function formatPlain(progress: RestoreProgress, { bytesPerSecond, etaMs }: Speed): string {
  if (progress.phase !== 'fetch' && progress.phase !== 'search') return PHASES[progress.phase];
  const percent = `${Math.floor(fractionOf(progress) * 100)} %`;
  const bytes = `${humanBytes(progress.bytesDone)} of ${humanBytes(progress.bytesTotal)}`;
  const pace = bytesPerSecond === 0 ? [] : [`${humanBytes(bytesPerSecond)}/s`];
  const left = etaMs === null ? [] : [`${humanDuration(Math.max(1000, etaMs))} left`];
  const what =
    progress.database === undefined ? PHASES[progress.phase] : `${PHASES[progress.phase]} ${progress.database}`;
  return [what, percent.padStart(5), bytes, ...pace, ...left].join('  ');
}

/** The same behind a bar, cut to the terminal's width. */
export function formatBar(progress: RestoreProgress, speed: Speed, columns: number): string {
  const full = Math.round(fractionOf(progress) * BAR_COLUMNS);
  const bar =
    progress.phase === 'fetch' || progress.phase === 'search'
      ? `[${'#'.repeat(full)}${'.'.repeat(BAR_COLUMNS - full)}] `
      : '';
  return `${bar}${formatPlain(progress, speed)}`.slice(0, Math.max(10, columns - 1));
}

const CLEAR_LINE = '\r\u001b[K';

export interface ProgressOptions {
  readonly mode: ProgressMode;
  readonly stream: OutputStream;
  /** Milliseconds that never go back. */
  readonly monotonic: () => number;
}

export class ProgressDisplay implements Disposable {
  /** Where everything else that goes to the same stream is written, so that it does not run into the line. */
  readonly stream: OutputStream;
  readonly #options: ProgressOptions;
  readonly #look: 'bar' | 'plain' | 'json' | 'none';
  readonly #rate = new RateMeter();
  readonly #startedAt: number;
  #shownAt = Number.NEGATIVE_INFINITY;
  #phase: RestoreProgress['phase'] | null = null;
  #line = '';

  constructor(options: ProgressOptions) {
    const { mode, stream } = options;
    this.#options = options;
    this.#startedAt = options.monotonic();
    this.#look = mode === 'auto' ? (stream.isTTY === true ? 'bar' : 'plain') : mode;
    this.stream = {
      isTTY: stream.isTTY,
      columns: stream.columns,
      write: (text, written) => stream.write(this.#line === '' ? text : CLEAR_LINE + text + this.#line, written),
    };
  }

  show(progress: RestoreProgress): void {
    const at = this.#options.monotonic();
    const speed = this.#rate.measure(at, progress);
    const interval = this.#look === 'bar' ? BAR_INTERVAL_MS : PLAIN_INTERVAL_MS;
    if (this.#look === 'plain' && at - this.#startedAt < PLAIN_SILENCE_MS) return;
    // A new phase is news, whenever it comes.
    if (progress.phase === this.#phase && at - this.#shownAt < interval) return;
    this.#phase = progress.phase;
    this.#shownAt = at;
    this.#draw(progress, speed);
  }

  #draw(progress: RestoreProgress, speed: Speed): void {
    const { stream } = this.#options;
    if (this.#look === 'json') {
      stream.write(`${JSON.stringify({ ...progress, bytesPerSecond: Math.round(speed.bytesPerSecond) })}\n`);
    } else if (this.#look === 'plain' && progress.phase !== 'done') {
      stream.write(`${formatPlain(progress, speed)}\n`);
    } else if (this.#look === 'bar') {
      // Some pseudo-terminals say that they have 0 columns.
      this.#line = progress.phase === 'done' ? '' : formatBar(progress, speed, stream.columns || 80);
      stream.write(CLEAR_LINE + this.#line);
    }
  }

  /** Takes the line off the terminal. */
  clear(): void {
    if (this.#line !== '') this.#options.stream.write(CLEAR_LINE);
    this.#line = '';
  }

  [Symbol.dispose](): void {
    this.clear();
  }
}
