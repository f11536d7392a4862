/** A row of seeds as one test: the first that breaks a promise is told with the command that replays it. */
import { RestorePlace } from './restored.ts';
import { simulate } from './simulation.ts';

export interface Seeds {
  readonly first: number;
  readonly count: number;
  readonly actions: number;
}

/** @throws the violation, with its seed */
export async function keepPromises({ first, count, actions }: Seeds): Promise<void> {
  using place = new RestorePlace();
  for (let seed = first; seed < first + count; seed += 1) {
    const { failure } = await simulate({ seed, actions, place });
    if (failure === null) continue;
    throw new Error(`${failure.message}\nreplay: npm run sim -- --seed ${seed} --steps ${actions} --verbose`, {
      cause: failure,
    });
  }
}
