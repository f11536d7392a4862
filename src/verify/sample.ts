/** Which objects a run reads, so that so many runs in a row read all: by the key's hash and the run's number. Pure. */
import { blake3Hex } from '../core/checksum.ts';

const DAY_MS = 86_400_000;

export interface Sample {
  /** How many runs read everything once. */
  readonly rounds: number;
  /** The number of this run; any whole number, taken modulo `rounds`. */
  readonly round: number;
}

/** Everything. */
export const WHOLE: Sample = { rounds: 1, round: 0 };

/** @param percent above 0, at most 100: 5 makes 20 rounds */
export const sampleOf = (percent: number, round: number): Sample => ({ rounds: Math.ceil(100 / percent), round });

/** The number of a day by UTC: one run a day reads all in `rounds` days. */
export const roundOfDay = (ms: number): number => Math.floor(ms / DAY_MS);

export function isInSample(key: string, { rounds, round }: Sample): boolean {
  if (rounds <= 1) return true;
  // 48 bits: exact as a number, and even enough for any number of rounds.
  const bucket = Number.parseInt(blake3Hex(Buffer.from(key)).slice(0, 12), 16) % rounds;
  return bucket === ((round % rounds) + rounds) % rounds;
}
