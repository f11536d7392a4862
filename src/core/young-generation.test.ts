/**
 * Invariant: the young generation does not grow with what survives. Asked of a process of its own: the flag is that of a
 * whole process, and this runtime must really read it when it is about to grow.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { keepYoungGenerationSmall } from './young-generation.ts';

const subject = fileURLToPath(new URL('./young-generation.ts', import.meta.url));

/** Bytes of the new space after much has survived in it. */
async function newSpaceBytes({ keepsSmall }: { keepsSmall: boolean }): Promise<number> {
  const program = `
    import { getHeapSpaceStatistics } from 'node:v8';
    import { ${keepYoungGenerationSmall.name} as keepSmall } from ${JSON.stringify(subject)};
    if (${keepsSmall}) keepSmall();
    let kept = [];
    for (let round = 0; round < 30; round++) {
      kept = Array.from({ length: 100_000 }, (_, index) => ({ index, round }));
    }
    console.log(getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space').space_size + 0 * kept.length);
  `;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program]);
  return Number(stdout);
}

test('the young generation stays small only when it is asked to', async () => {
  const [small, usual] = await Promise.all([newSpaceBytes({ keepsSmall: true }), newSpaceBytes({ keepsSmall: false })]);
  expect(small).toBeLessThanOrEqual(8 * 1024 * 1024);
  expect(usual).toBeGreaterThan(2 * small);
});
