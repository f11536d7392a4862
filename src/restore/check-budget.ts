/** The least memory that a restore can do with. */
import type { ByteBudget } from '../core/byte-budget.ts';
import { ConfigurationError } from '../core/errors.ts';
import { formatBytes } from './format-bytes.ts';

/** Below, one page of a snapshot and one part of a log object would not fit side by side. */
export const BUDGET_BYTES_MIN = 8 * 1024 * 1024;

/** @throws ConfigurationError when the budget is too small */
export function checkBudget({ bytesMax }: ByteBudget): void {
  if (bytesMax >= BUDGET_BYTES_MIN) return;
  throw new ConfigurationError(`a memory budget of ${formatBytes(bytesMax)} is too small for a restore`, {
    hint: `Give it at least ${formatBytes(BUDGET_BYTES_MIN)} with -memory.`,
  });
}
