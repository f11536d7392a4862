/** `-parallelism`, of every command that reads much of a store. */
import { availableParallelism } from 'node:os';
import { Option } from 'commander';

const DEFAULT_MIN = 4;
const DEFAULT_MAX = 16;

/** A processor takes in about as much as two connections to a store in a data centre bring. */
const byProcessors = (): number => Math.min(DEFAULT_MAX, Math.max(DEFAULT_MIN, 2 * availableParallelism()));

export const parallelismFlag = (): Option =>
  new Option(
    '--parallelism <N>',
    `Requests to the store at once. Default: 2 for each processor, at least ${DEFAULT_MIN} and at most ${DEFAULT_MAX}.`,
  ).default(String(byProcessors()));
