/** Reads log objects whole: frames, seek table, every commit, the chain, and that each name says what is in it. */
import { CorruptionError } from '../core/errors.ts';
import { type Crc32c, formatCrc, type Micros, micros, type Position, type TxOffset } from '../core/types.ts';
import type { GenerationName, LogObject } from '../layout/keys.ts';
import { formatTimestamp } from '../layout/time.ts';
import { walkLine } from '../layout/walk-line.ts';
import { concurrently } from '../restore/concurrently.ts';
import type { FetchOptions } from '../restore/fetch-parts.ts';
import type { ManifestFacts, StoreView } from '../restore/plan-types.ts';
import { lineTo } from '../restore/recoverable.ts';
import { scanObject } from '../restore/scan-object.ts';
import type { CommitFacts } from '../spacetimedb/commit-facts.ts';
import type { Effects } from './effects.ts';
import type { Finding } from './finding.ts';
import { damageBehind } from './not-given.ts';
import { isBad } from './is-bad.ts';
import { badObject } from './read-view.ts';

export interface CheckLogObjectsOptions {
  readonly view: StoreView;
  readonly objects: readonly LogObject[];
  /** Of every snapshot whose commit is known. */
  readonly manifests: ReadonlyMap<string, ManifestFacts>;
  readonly effects: Effects;
  readonly fetch: FetchOptions;
  /** Objects read at once. */
  readonly atOnce: number;
  readonly onObject: (bytes: number) => void;
}

/** A snapshot's commit, and who keeps it. */
interface ExpectedCommit extends Position {
  readonly first: TxOffset;
  readonly manifestKey: string;
  readonly generation: GenerationName;
}

/** @throws what the client throws */
export async function checkLogObjects(options: CheckLogObjectsOptions): Promise<Finding[]> {
  const { objects, fetch, atOnce, onObject, effects } = options;
  const findings: Finding[] = [];
  const times = timesAtEnds(options.view);
  const expected = expectedCommits(options);
  const check = async (object: LogObject): Promise<void> => {
    const { key, generation } = object;
    try {
      findings.push(...(await checkObject(object, { fetch, times, expected: expected.get(key) ?? [], effects })));
    } catch (error) {
      // Promoted or retired since it was listed, where nothing is listed any more.
      const bad = await damageBehind(error, { key, fetch });
      if (bad !== null) findings.push(badObject(key, bad, effects.ofUnusable(generation, new Map([[key, bad]]))));
    }
    onObject(object.size);
  };
  await concurrently(objects, check, { limit: atOnce });
  return findings;
}

const endKey = (generation: GenerationName, tx: bigint, crc: Crc32c): string => `${generation}/${tx}/${crc}`;

/** The line's time at the end of each object. */
function timesAtEnds({ listing }: StoreView): ReadonlyMap<string, Micros> {
  const times = new Map<string, Micros>();
  for (const objects of listing.logObjects.values()) {
    for (const { generation, last, crc, time } of objects) times.set(endKey(generation, last, crc), time);
  }
  return times;
}

interface CheckObjectOptions extends Pick<CheckLogObjectsOptions, 'fetch' | 'effects'> {
  readonly times: ReadonlyMap<string, Micros>;
  readonly expected: readonly ExpectedCommit[];
}

async function checkObject(
  object: LogObject,
  { fetch, times, expected, effects }: CheckObjectOptions,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const before = object.first === 0n ? null : times.get(endKey(object.generation, object.first - 1n, object.prev));
  let last: Micros = micros(0n);
  await scanObject(
    { object, cut: null },
    {
      fetch,
      timeBefore: before ?? micros(0n),
      visit: (facts, time) => {
        last = time;
        for (const commit of expected) if (!isSame(commit, facts)) findings.push(mismatch(commit, effects));
        return false;
      },
    },
  );
  // Without the object before, only that the name is not too early can be said.
  const isExact = before !== undefined;
  if (isExact ? last !== object.time : last > object.time) findings.push(wrongTime(object, last));
  return findings;
}

/** Whether the visited commit is another one, or the very one. */
const isSame = ({ first, tx, crc }: ExpectedCommit, facts: CommitFacts): boolean =>
  facts.lastTx < first || facts.tx > tx || (facts.tx === first && facts.lastTx === tx && facts.crc === crc);

const wrongTime = ({ key, time }: LogObject, found: Micros): Finding => ({
  severity: 'damage',
  kind: 'misnamed',
  key,
  message: `${key} holds commits up to ${formatTimestamp(found)}, and its name says ${formatTimestamp(time)}`,
  effect: 'points by time around it may be wrong; points by transaction are fine',
  remedy: 'Its name was changed: give it its name back. Until then use -tx.',
});

function mismatch({ manifestKey, tx, crc, generation }: ExpectedCommit, effects: Effects): Finding {
  const message = `the commit that ${manifestKey} keeps, ${tx} (crc ${formatCrc(crc)}), is not that of the log`;
  const error = new CorruptionError(message, { facts: { key: manifestKey } });
  return {
    severity: 'damage',
    kind: 'contradiction',
    key: manifestKey,
    message,
    effect: effects.ofUnusable(generation, new Map([[manifestKey, error]])),
    remedy: 'The snapshot is of another history than the log: a restore passes it over. Report this.',
  };
}

/** For each snapshot the object of its line that holds its commit: there they are compared. */
function expectedCommits({ view, manifests }: CheckLogObjectsOptions): ReadonlyMap<string, ExpectedCommit[]> {
  const found = new Map<string, ExpectedCommit[]>();
  const listed = [...view.listing.manifests.values()].flat();
  for (const { key, tx, generation } of listed) {
    const commit = manifests.get(key)?.commit;
    const object = commit && objectOf(view, generation, tx);
    if (!commit || !object) continue;
    const expected = { ...commit.position, first: commit.first, manifestKey: key, generation };
    found.set(object.key, [...(found.get(object.key) ?? []), expected]);
  }
  return found;
}

function objectOf(view: StoreView, generation: GenerationName, tx: TxOffset): LogObject | null {
  try {
    const { logObjects } = view.listing;
    const walk = walkLine(lineTo(view, generation), { objects: logObjects, documents: view.documents, from: tx });
    const [first] = walk.steps;
    return first !== undefined && first.object.first <= tx ? first.object : null;
  } catch (error) {
    // Told of by the check of the chain.
    if (isBad(error)) return null;
    throw error;
  }
}
