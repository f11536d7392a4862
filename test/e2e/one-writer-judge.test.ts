/** The judge of races can say no: what it must find is planted in a store that is right before. */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { runWell } from '../support/database-beside-store.ts';
import { DivergingCopy, partsFrom } from '../support/diverging-copy.ts';
import { StoredLines } from '../support/stored-lines.ts';
import { readHead, readStored } from '../support/stored-log.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

interface Scene {
  readonly root: string;
  readonly first: DivergingCopy;
  readonly second: DivergingCopy;
}

interface Judgement {
  readonly faults: readonly string[];
  /** Whether each line is the beginning of one of the copies. */
  readonly pure: boolean;
}

async function judge({ root, first, second }: Scene): Promise<Judgement> {
  const lines = await StoredLines.read(root, await readStored(root));
  const all = await Promise.all(lines.names.map((name) => lines.line(name)));
  const pure = all.every(({ commits }) => [first, second].some((copy) => partsFrom(commits, copy) === null));
  return { faults: all.flatMap(({ faults }) => faults), pure };
}

test('a wrong name, a wrong parent point, wrong content and a mixed line are found', async () => {
  await using place = await temporaryDirectory();
  const first = new DivergingCopy(place.at('first'), 'first');
  const second = new DivergingCopy(place.at('second'), 'second');
  await first.create();
  await first.grow(20);
  await second.create();
  await second.begin([...first.commits]);
  await first.grow(20);
  await second.grow(20);
  const root = place.at('store');
  await mkdir(root);
  for (const { directory } of [first, second]) await runWell(['replicate', '-once', directory, `file://${root}`]);
  const scene = { root, first, second };
  expect(await judge(scene)).toEqual({ faults: [], pure: true });

  const { generations } = await readStored(root);
  expect(generations.map(({ parent }) => parent?.tx ?? null)).toEqual([null, first.commits[19]?.last]);
  const [old, young] = generations.map(({ objects }) => `${root}/${objects[0]?.key}`);
  const change = async (path: string, edit: (bytes: Buffer) => Buffer): Promise<() => Promise<void>> => {
    const bytes = await readFile(path);
    await writeFile(path, edit(bytes));
    return () => writeFile(path, bytes);
  };

  const misnamed = (old ?? '').replace(/[0-9a-f]{8}\.zst$/, 'deadbeef.zst');
  await rename(old ?? '', misnamed);
  expect((await judge(scene)).faults.join()).toMatch(/its last commit has/);
  await rename(misnamed, old ?? '');

  const { generation } = await readHead(root);
  const document = `${root}/generations/${generation}/generation.json`;
  const undo = await change(document, (bytes) =>
    Buffer.from(bytes.toString().replace(/"crc":"[0-9a-f]{8}"/, '"crc":"deadbeef"')),
  );
  expect((await judge(scene)).faults.join()).toMatch(/branches off at .* but that line ends at/);
  await undo();

  const foreign = await readFile(young ?? '');
  const undoContent = await change(old ?? '', () => foreign);
  expect((await judge(scene)).faults.join()).toMatch(/in the place of/);
  await undoContent();

  expect(await judge({ ...scene, second: new DivergingCopy(place.at('third'), 'third') })).toEqual({
    faults: [],
    pure: false,
  });
});
