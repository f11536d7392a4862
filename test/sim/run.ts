/** Hunts: `npm run sim -- --seed N --steps M --seeds COUNT --verbose`. */
import { parseArgs } from 'node:util';
import { RestorePlace } from './restored.ts';
import { simulate } from './simulation.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '1' },
    steps: { type: 'string', default: '40' },
    plan: { type: 'string', default: '{}' },
    verbose: { type: 'boolean', default: false },
    'keep-going': { type: 'boolean', default: false },
  },
});

const first = Number(values.seed);
const count = Number(values.seeds);
const actions = Number(values.steps);
const begin = performance.now();
const totals = { happened: 0, restores: 0, generations: 0, processes: 0, virtualMs: 0 };
const failures = new Map<string, number[]>();

using place = new RestorePlace();
for (let seed = first; seed < first + count; seed += 1) {
  const outcome = await simulate({
    seed,
    actions,
    place,
    plan: JSON.parse(values.plan) as Record<string, never>,
    ...(values.verbose ? { onTrace: (line: string) => console.log(line) } : {}),
  });
  for (const name of Object.keys(totals) as (keyof typeof totals)[]) totals[name] += outcome[name];
  const { failure, traceHash } = outcome;
  if (count === 1) console.log(`seed ${seed}: trace ${traceHash}, ${outcome.happened} events`);
  if (failure === null) continue;
  const kind = failure.message
    .replace(/[0-9a-f]{8,}/g, 'H')
    .replace(/\d+/g, 'N')
    .slice(0, 160);
  failures.set(kind, [...(failures.get(kind) ?? []), seed]);
  console.log(`FAILED seed ${seed}: ${failure.message}`);
  if (count === 1) console.log(failure.stack);
  console.log(`  replay: npm run sim -- --seed ${seed} --steps ${actions} --verbose`);
  if (!values['keep-going']) break;
}
const seconds = (performance.now() - begin) / 1000;
console.log(
  `${count} seeds in ${seconds.toFixed(1)} s: ${totals.happened} events, ${totals.processes} processes, ` +
    `${totals.generations} generations, ${totals.restores} restores, ${(totals.virtualMs / 3.6e6).toFixed(0)} virtual hours`,
);
for (const [kind, seeds] of failures)
  console.log(`${String(seeds.length).padStart(6)} × ${kind}  (seeds ${seeds.slice(0, 5).join(', ')})`);
if (failures.size > 0) process.exitCode = 1;
