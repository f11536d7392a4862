/** Why a standby cannot go on, and what an operator does then. */
import {
  CorruptionError,
  type ReplicateError,
  UnrecoverablePointError,
  UnsupportedFormatError,
} from '../../core/errors.ts';
import { formatPosition, type Position, type TxOffset } from '../../core/types.ts';

export interface StandbyFacts {
  readonly directory: string;
  readonly url: string;
  readonly position: Position;
}

const hintOf = ({ directory, url }: StandbyFacts): string =>
  `Nothing of ${directory} was changed by that. To follow again: move it away, then stdb-replicate restore -follow -o ${directory} ${url}.`;

/** @param facts.common the last point that both histories have, as far as it is known */
export function lineLeftBehind(facts: StandbyFacts & { readonly common: Position | null }): UnrecoverablePointError {
  const { directory, url, position, common } = facts;
  const from = common === null ? 0n : common.tx + 1n;
  return new UnrecoverablePointError(
    `the backup in ${url} went on without the end of ${directory}: that ends at transaction ${formatPosition(position)}, ` +
      `which is not part of the backup's line. ${directory} must be restored again from transaction ${from} on`,
    { hint: hintOf(facts), facts: { directory, url, tx: position.tx, from } },
  );
}

/** What follows the position is no longer stored, or damaged. */
export function logGone(
  facts: StandbyFacts & { readonly resumes: TxOffset; readonly damage: Error | null },
): ReplicateError {
  const { directory, url, position, resumes, damage } = facts;
  const what = { directory, url, tx: position.tx, resumes };
  if (damage instanceof UnsupportedFormatError) return damage;
  if (damage !== null) {
    return new CorruptionError(
      `the log in ${url} cannot be read behind transaction ${position.tx}, where ${directory} ends: ${damage.message}`,
      { cause: damage, hint: `${hintOf(facts)} That takes a newer snapshot, where there is one.`, facts: what },
    );
  }
  return new UnrecoverablePointError(
    `the log in ${url} does not lead on from transaction ${position.tx}, where ${directory} ends: it goes on at ${resumes}. ` +
      `${directory} must be restored again from transaction ${position.tx + 1n} on`,
    { hint: hintOf(facts), facts: what },
  );
}

/** The restore that a standby begins with had to write the end of the log anew. */
export const endsInVersion0 = (directory: string): UnsupportedFormatError =>
  new UnsupportedFormatError(
    `the log of this backup ends in format version 0, which a standby cannot follow; ${directory} is restored, and was rewritten as version 1`,
    {
      hint:
        'A server can open the directory as it is. Once the source is written by a server that writes version 1, from its next ' +
        'segment on, follow into an empty directory.',
      facts: { directory },
    },
  );

/** A directory that no standby has written yet ends in something else than a commit. */
export const notOurTail = (directory: string, tail: string): CorruptionError =>
  new CorruptionError(
    `the log in ${directory} ends in what is no whole commit (${tail}), and no standby wrote it: a server left it`,
    { hint: 'Let a server open and close it first, or follow into an empty directory.', facts: { directory } },
  );
