/**
 * What may happen in one run, chosen by its seed: some runs have every kind of trouble, most only a few kinds, since what
 * two of them do together is drowned by ten.
 */
import type { Random } from './random.ts';

export interface Plan {
  /** How many things the director does. */
  readonly actions: number;
  /** Mean time between two of them. */
  readonly paceMs: number;
  readonly intervalMs: number;
  readonly leaseTtlMs: number;
  /** Whether file events are delivered. */
  readonly events: boolean;
  /** How often a call on a file takes a turn of its own. */
  readonly fileTurns: number;
  readonly conditional: 'full' | 'none';
  /** Kinds of trouble, each there or not. */
  readonly power: boolean;
  readonly restarts: boolean;
  readonly freezes: boolean;
  readonly storms: boolean;
  readonly outages: boolean;
  readonly fileFaults: boolean;
  readonly snapshots: boolean;
  readonly compression: boolean;
  readonly pruning: boolean;
  readonly clocks: boolean;
  readonly strangers: boolean;
  readonly rivals: boolean;
  readonly clones: boolean;
  readonly resets: boolean;
  readonly wipes: boolean;
  readonly restores: boolean;
  readonly rot: boolean;
}

/** Where a store knows no conditions only order in time keeps writers apart: one of them at a time, and none frozen. */
const ADVISORY = {
  conditional: 'none',
  rivals: false,
  clones: false,
  strangers: false,
  freezes: false,
} as const satisfies Partial<Plan>;

export function makePlan(random: Random, { actions }: { actions: number }): Plan {
  const some = (probability: number): boolean => random.chance(probability);
  const plan: Plan = {
    actions,
    paceMs: random.pick([15, 150, 1_000, 8_000]),
    intervalMs: random.pick([100, 1_000]),
    leaseTtlMs: random.pick([10_000, 60_000]),
    events: some(0.7),
    fileTurns: random.pick([0.1, 0.5, 1]),
    conditional: 'full',
    power: some(0.5),
    restarts: some(0.7),
    freezes: some(0.4),
    storms: some(0.5),
    outages: some(0.3),
    fileFaults: some(0.25),
    snapshots: some(0.6),
    compression: some(0.6),
    pruning: some(0.3),
    clocks: some(0.2),
    strangers: some(0.2),
    rivals: some(0.3),
    clones: some(0.25),
    resets: some(0.3),
    wipes: some(0.2),
    restores: some(0.3),
    rot: some(0.1),
  };
  return some(0.08) ? { ...plan, ...ADVISORY } : plan;
}
