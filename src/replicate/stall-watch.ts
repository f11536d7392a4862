/**
 * What bytes mean that are no whole commit, where the log has been read to its end.
 *
 * A crash leaves such bytes, and they stay; a write in progress is seen for a moment. Both are the end of the log. Good
 * commits behind them, or a log that grows behind them, are not: then what follows cannot be backed up, and that must
 * not look like an idle database.
 */
import type { LogSource } from '../capture/log-source.ts';
import type { LogTailer } from '../capture/log-tailer.ts';
import type { Stall } from '../capture/read-run.ts';
import { findDamageAt } from '../capture/standing-damage.ts';
import type { Log } from '../core/log.ts';
import type { TxOffset } from '../core/types.ts';

export interface StallWatchOptions {
  readonly source: LogSource;
  readonly log: Log;
  /** In a single pass, a write in progress may be all that will ever be there. */
  readonly once: boolean;
}

export class StallWatch {
  readonly #options: StallWatchOptions;
  #last: Stall | null = null;
  #mentioned = false;
  /** The segment whose zeros were mentioned. */
  #zerosIn: TxOffset | null = null;
  #growing = false;
  #checkedBytes = -1;

  constructor(options: StallWatchOptions) {
    this.#options = options;
  }

  /**
   * To be asked after each reading to the end.
   *
   * @param readOn reads what was appended meanwhile
   * @returns whether the log grows behind what cannot be read
   * @throws LogDamagedError when good commits stand behind it
   */
  async judge(
    tailer: LogTailer,
    { readOn, signal }: { readOn: () => Promise<unknown>; signal: AbortSignal },
  ): Promise<boolean> {
    const stall = obstacleOf(tailer);
    const before = this.#last;
    this.#last = stall;
    if (stall === null || stall.at !== before?.at) {
      this.#mentioned = false;
      this.#growing = false;
      this.#checkedBytes = -1;
    } else if (stall.bytes > before.bytes && !this.#growing) {
      this.#growing = true;
      this.#say(stall, tailer);
    }
    if (stall === null) return false;
    // At the first look it is most likely a write in progress, which costs no reading of an index.
    const isSettled = this.#options.once || stall.at === before?.at;
    if (isSettled && stall.bytes !== this.#checkedBytes) {
      this.#checkedBytes = stall.bytes;
      await this.#requireNothingBeyond(stall, { tailer, readOn, signal });
    }
    this.#mention(stall, tailer);
    return this.#growing;
  }

  async #requireNothingBeyond(
    stall: Stall,
    { tailer, readOn, signal }: { tailer: LogTailer; readOn: () => Promise<unknown>; signal: AbortSignal },
  ): Promise<void> {
    const damaged = await findDamageAt(this.#options.source, { stall, position: tailer.position, signal });
    if (damaged === null) return;
    // They may have been appended since, together with what was missing here.
    await readOn();
    if (obstacleOf(tailer)?.at === stall.at) throw damaged;
  }

  /** Said once, since a crash leaves such bytes, and they stay. Zeros may be space that waits to be written, at each end. */
  #mention({ kind, at, bytes }: Stall, { position }: LogTailer): void {
    if (this.#mentioned || (kind === 'in-progress' && !this.#options.once)) return;
    this.#mentioned = true;
    if (kind === 'zero') {
      if (this.#zerosIn === position.segment) return;
      this.#zerosIn = position.segment;
    }
    this.#options.log.warn(`${bytes} bytes after transaction ${position.nextTx - 1n} are not a whole commit`, {
      kind,
      segment: position.segment,
      byte: at,
      hint: 'A crash of the server leaves such bytes; the server begins a new segment after them. They are not backed up.',
    });
  }

  #say({ kind, at }: Stall, { position }: LogTailer): void {
    this.#options.log.warn(
      `the log grows behind what is not a whole commit, after transaction ${position.nextTx - 1n}`,
      {
        kind,
        segment: position.segment,
        byte: at,
        hint: 'A long commit may be under way. If this stays, the log is damaged there, and nothing behind it is backed up: check the disk.',
      },
    );
  }
}

const obstacleOf = ({ stall }: LogTailer): Stall | null => (stall === null || stall.kind === 'end' ? null : stall);
