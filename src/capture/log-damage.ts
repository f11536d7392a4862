/** A commit or segment of the local log is bad or missing, although later ones stand. */
import { CorruptionError, type ErrorDetails } from '../core/errors.ts';
import type { TailPosition } from './commit-run.ts';

/** Carries where, so that whoever reads on later can look whether it still is so. */
export class LogDamagedError extends CorruptionError {
  /** After the last good commit: `nextTx` is the first transaction that cannot be read. */
  readonly damage: TailPosition;

  constructor(message: string, { damage, ...details }: ErrorDetails & { readonly damage: TailPosition }) {
    super(message, details);
    this.damage = damage;
  }
}

export const DAMAGE_HINT = 'Check the disk. What is stored up to there is safe and can be restored.';
