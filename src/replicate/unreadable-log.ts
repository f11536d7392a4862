/**
 * Whether a file of the log stays unreadable: a disk that fails for a moment is waited for, a bad sector is treated as a
 * damaged commit is. Nothing is given up by this: what can be read again is read.
 */
import { isUnreadable, throughBadSectors } from '../capture/bad-sectors.ts';
import type { TailPosition } from '../capture/commit-run.ts';
import type { LogDamagedError } from '../capture/log-damage.ts';
import type { LogSource } from '../capture/log-source.ts';
import { findStandingDamage } from '../capture/standing-damage.ts';
import { LocalFileError, UnsupportedFormatError } from '../core/errors.ts';
import { unreadableDamage } from './start-words.ts';

/** For so long, and at so many looks in a row, without progress in between. */
export const LASTS_MS = 60_000;
const LOOKS_MIN = 3;
/** A look that begins so long after a failure is not about the same one. Above the longest pause between two episodes. */
const APART_MS_MAX = 300_000;

interface Seen {
  /** Monotonic ms. */
  readonly since: number;
  readonly last: number;
  readonly looks: number;
  readonly progress: number;
}

export interface FailedLook {
  /** Monotonic ms: of its beginning, since a disk may take minutes to fail, and of its end. */
  readonly since: number;
  readonly now: number;
  /** Another number than at the look before where, in between, commits were stored or the log was read to its end. */
  readonly progress: number;
}

export class UnreadableLog {
  readonly #source: LogSource;
  /** By path: a second bad file must not make the first one's time begin anew. */
  readonly #seen = new Map<string, Seen>();

  constructor(source: LogSource) {
    this.#source = source;
  }

  /**
   * To be told how an episode failed.
   *
   * @returns the failure where it has lasted, else null
   */
  note(cause: unknown, { since, now, progress }: FailedLook): LocalFileError | null {
    if (!isUnreadable(cause)) return null;
    const { path } = cause.facts;
    if (typeof path !== 'string' || !path.startsWith(`${this.#source.directory}/`)) return null;
    const seen = this.#seen.get(path);
    const isSame = seen?.progress === progress && since - seen.last <= APART_MS_MAX;
    const current: Seen = { since: isSame ? seen.since : now, last: now, looks: isSame ? seen.looks + 1 : 1, progress };
    this.#seen.set(path, current);
    return current.looks >= LOOKS_MIN && now - current.since >= LASTS_MS ? cause : null;
  }

  /**
   * The damage at `tail`, all before which is stored; null where no good commit stands behind it, or a whole disk fails:
   * then nothing is to be had but by waiting.
   */
  async damageAt(
    tail: TailPosition,
    { cause, signal }: { readonly cause: LocalFileError; readonly signal: AbortSignal },
  ): Promise<LogDamagedError | null> {
    const { files } = this.#source;
    try {
      const through = { ...this.#source, files: throughBadSectors(files) };
      const damage = await findStandingDamage(through, tail, { signal });
      return damage && unreadableDamage(cause, damage);
    } catch (error) {
      // Of a version that is not known, or so long, may be what filler makes of it.
      if (error instanceof LocalFileError || error instanceof UnsupportedFormatError) return null;
      throw error;
    }
  }
}
