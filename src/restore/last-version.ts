/** A restored log must not end in a segment of version 0: the engine reads those only where another one follows. */
import { UnrecoverablePointError } from '../core/errors.ts';
import { formatPosition, type Position } from '../core/types.ts';
import type { LogVersion } from '../spacetimedb/segment-header.ts';

/** @throws UnrecoverablePointError when the last segment's version is 0 */
export function checkLastVersion(version: LogVersion, end: Position): void {
  if (version !== 0) return;
  throw new UnrecoverablePointError(
    `the log would end at ${formatPosition(end)} in a segment of format version 0, which SpacetimeDB refuses to open`,
    {
      hint: 'Start the database once with SpacetimeDB 1.0 or later where it runs, so that its log goes on in version 1, and restore to a later point.',
      facts: { tx: end.tx, version },
    },
  );
}
