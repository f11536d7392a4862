// Invariant: whatever a server, an operator, the store and the disk do, and whenever a writer dies, what is stored is one
// verified line that holds all that was acknowledged. Half of the seeds; the other half runs beside it.
import { test } from 'vitest';
import { keepPromises } from './keep-promises.ts';

const ROWS = 8;
const SEEDS = 100;

test.each(Array.from({ length: ROWS }, (_, row) => 1 + (2 * row + 1) * SEEDS))(
  'seeds from %i on',
  async (first) => keepPromises({ first, count: SEEDS, actions: 20 }),
  600_000,
);
