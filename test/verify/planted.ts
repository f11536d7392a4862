/** One thing that is planted in a backup, and the finding that must tell it. */
import type { FindingKind, Severity } from '../../src/verify/finding.ts';

export interface Planted<Backup> {
  readonly name: string;
  readonly kind: FindingKind;
  /** Default: damage. */
  readonly severity?: Severity;
  /** What no name tells. */
  readonly deep?: true;
  /** The key that is to be told; null where it is no single one. */
  readonly plant: (backup: Backup) => string | null | Promise<string | null>;
}
