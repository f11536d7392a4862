/**
 * Invariant: the chosen image is the newest one that is whole and all of whose databases can be restored; a database that
 * is damaged never sends a restore back to an older image, and nothing is asked for twice or without need.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CorruptionError, NoBackupError } from '../../core/errors.ts';
import { micros } from '../../core/types.ts';
import { makeGenerationName } from '../../layout/keys.ts';
import { makeImageName } from '../../layout/server-keys.ts';
import { chooseImage, type ImageChoice, type ImageState, type ReplicaState } from './choose-image.ts';
import type { ListedImage } from './read-server-store.ts';

type Fate = ReplicaState['kind'];

const IDS = [1n, 3n, 2_000_001n] as const;
const fate = fc.constantFrom<Fate>('ready', 'ready', 'ready', 'missing', 'damaged');
const fates = fc.tuple(fate, fate, fate);
/** The databases of each image, newest first; null: the image is damaged. */
const images = fc.array(fc.option(fc.subarray([...IDS]), { freq: 6 }), { minLength: 1, maxLength: 5 });

const stateOf: Readonly<Record<Fate, ReplicaState>> = {
  ready: { kind: 'ready' },
  missing: { kind: 'missing', error: new NoBackupError('nothing') },
  damaged: { kind: 'damaged', error: new CorruptionError('flipped') },
};

const listed = (index: number): ListedImage => ({
  generation: makeGenerationName(1, '00000001'),
  image: makeImageName(micros(BigInt(1000 - index)), '0123456789abcdef'),
  key: `image ${index}`,
});

function run(model: readonly (readonly bigint[] | null)[], replicas: readonly Fate[], partial: boolean): ImageChoice {
  const known = new Map<string, ImageState>();
  const states = new Map<bigint, ReplicaState>();
  for (;;) {
    const choice = chooseImage({ images: model.map((_, index) => listed(index)), known, replicas: states, partial });
    if (choice.kind === 'need-image') {
      expect(known.has(choice.image.key)).toBe(false);
      const ids = model[Number(choice.image.key.slice(6))];
      known.set(choice.image.key, ids ? { replicas: ids } : { unusable: new CorruptionError('image') });
    } else if (choice.kind === 'need-replica') {
      expect(states.has(choice.replicaId)).toBe(false);
      expect(model.some((ids) => ids?.includes(choice.replicaId))).toBe(true);
      states.set(choice.replicaId, stateOf[replicas[IDS.indexOf(choice.replicaId as 1n)] ?? 'ready']);
    } else {
      return choice;
    }
  }
}

test('the newest whole image is chosen, or it is said why not', () => {
  const seen = new Map<string, number>();
  fc.assert(
    fc.property(images, fates, fc.boolean(), (model, replicas, partial) => {
      const choice = run(model, replicas, partial);
      seen.set(`${choice.kind} ${partial}`, (seen.get(`${choice.kind} ${partial}`) ?? 0) + 1);
      const fateOf = (id: bigint): Fate => replicas[IDS.indexOf(id as 1n)] ?? 'ready';
      const lacking = (ids: readonly bigint[]): bigint[] => ids.filter((id) => fateOf(id) !== 'ready');
      const whole = model.flatMap((ids, index) => (ids ? [{ index, ids, lacks: lacking(ids) }] : []));
      // Going back in time ends at the first image that is complete, or that names something damaged.
      const stop = whole.find(({ ids, lacks }) => lacks.length === 0 || ids.some((id) => fateOf(id) === 'damaged'));
      const index = choice.kind === 'chosen' || choice.kind === 'damaged' ? Number(choice.image.key.slice(6)) : -1;
      if (stop === undefined) {
        const [newest] = whole;
        if (!partial || newest === undefined) expect(choice.kind).toBe('none');
        else expect([choice.kind, index]).toEqual(['chosen', newest.index]);
      } else if (stop.lacks.length === 0 || partial) {
        expect([choice.kind, index]).toEqual(['chosen', stop.index]);
      } else {
        expect([choice.kind, index]).toEqual(['damaged', stop.index]);
      }
      if (choice.kind === 'chosen') {
        expect(choice.missing).toEqual(lacking(model[index] ?? []));
        if (!partial) expect(choice.missing).toEqual([]);
        for (const { missing } of choice.passedOver) expect(missing.every((id) => fateOf(id) === 'missing')).toBe(true);
      }
    }),
    { numRuns: 1500 },
  );
  for (const outcome of ['chosen true', 'chosen false', 'none false', 'damaged false']) {
    expect(seen.get(outcome) ?? 0, outcome).toBeGreaterThan(20);
  }
});
