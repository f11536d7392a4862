/** What the budget does not hold: not known to be damaged, and never told to be whole. */
import { ConfigurationError } from '../core/errors.ts';
import { KEPT_FREE_BYTES } from '../restore/read-snapshot.ts';
import type { Finding } from './finding.ts';

const MIB = 1024 * 1024;

/**
 * @param what a part of the object, with an article
 * @param budgetBytes with which it would be checked, at the least
 */
export function uncheckedFinding(key: string, what: string, budgetBytes: number): Finding {
  const memory = `-memory ${Math.ceil(budgetBytes / MIB)}MiB`;
  return {
    severity: 'damage',
    kind: 'unchecked',
    key,
    message: `${what} in ${key} was not checked: it needs ${memory}`,
    effect: 'nothing is known to be damaged, and this was not proven to be whole',
    remedy: `Check again with ${memory} or more: a restore may need as much.`,
  };
}

/** Of what `checkFits` refused; null for any other error. */
export function uncheckedFits(
  error: unknown,
  { key, what }: { readonly key: string; readonly what: string },
): Finding | null {
  const bytes = error instanceof ConfigurationError ? error.facts['bytes'] : undefined;
  return typeof bytes === 'number' ? uncheckedFinding(key, what, bytes + KEPT_FREE_BYTES) : null;
}
