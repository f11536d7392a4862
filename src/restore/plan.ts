/**
 * Decides what a restore fetches and writes: from names and documents alone, without touching store or disk.
 *
 * The newest snapshot of the line from whose own commit the log leads to the target; else the whole log from offset 0.
 * Invariants: a snapshot is never planned without its commit or what follows it; nothing beyond a parent point is
 * planned; a plan that had a target before ends there again, or there is none.
 */
import { CorruptionError, NoBackupError, UnrecoverablePointError, UnsupportedFormatError } from '../core/errors.ts';
import { formatPosition, type Position } from '../core/types.ts';
import { type GenerationName, generationKey, HEAD_KEY } from '../layout/keys.ts';
import { chooseGeneration, type LinePart, requireGeneration } from '../layout/line.ts';
import { formatTimestamp } from '../layout/time.ts';
import { findAbandonedLines } from './abandoned-lines.ts';
import { snapshotsOf } from './line-runs.ts';
import { cutLine, type FoundLog, type LineLog, logForSnapshot, logFromZero, type NoLog } from './plan-log.ts';
import type { PlanInput, PlannedManifest, PlanOutcome, RestorePlan } from './plan-types.ts';
import { lineTo, usableObjects } from './recoverable.ts';

/**
 * @throws NoBackupError where nothing was ever stored; UnrecoverablePointError where the line has no recovery point;
 * CorruptionError where what would lead to one is damaged or missing; UsageError for an unknown generation
 */
export function planRestore(input: PlanInput): PlanOutcome {
  const { view, manifests, unusable, target } = input;
  const generation = lineEnd(input);
  const whole = lineTo(view, generation);
  const line = target ? cutLine(whole, target) : whole;
  const log: LineLog = { line, documents: view.documents, objects: usableObjects(view.listing.logObjects, unusable) };
  const point = required(input, generation);
  const refused: NoLog[] = [];
  for (const manifest of candidates(whole, input)) {
    if (unusable.has(manifest.manifestKey)) continue;
    const facts = manifests.get(manifest.manifestKey);
    if (facts === undefined) return { kind: 'need', manifest };
    const outcome = logForSnapshot(manifest.tx, facts, log);
    if ('why' in outcome)
      refused.push({ ...outcome, why: `the snapshot at ${manifest.tx} cannot be used: ${outcome.why}` });
    else if (reaches(outcome, input, generation))
      return planned(input, { generation, line, log: outcome, snapshot: { ...manifest, ...facts } });
    if (noneBeforeReaches(manifest, outcome, point)) break;
  }
  const all = logFromZero(log);
  if ('why' in all) refused.push({ ...all, why: `the log alone cannot be used: ${all.why}` });
  else if (reaches(all, input, generation)) return planned(input, { generation, line, log: all, snapshot: null });
  throw noPlanError(input, generation, refused);
}

/**
 * @throws NoBackupError where nothing was ever stored; CorruptionError where all that was stored is gone; UsageError for
 * an unknown generation
 */
export function lineEnd({
  source,
  view,
  generation,
}: Pick<PlanInput, 'source' | 'view' | 'generation'>): GenerationName {
  const { head, listing } = view;
  if (!listing.generations.some(({ holdsData }) => holdsData)) {
    requireNeverStored(view, source);
    throw new NoBackupError(`there is no backup in ${source}: no transaction and no snapshot was ever stored there`, {
      facts: { url: source },
      hint: 'Check the URL and its prefix. A backup begins when `stdb-replicate replicate` first reaches the store.',
    });
  }
  if (generation !== undefined) return requireGeneration(generation, listing.generations);
  const chosen = chooseGeneration(head, listing.generations);
  if (chosen !== null) return chosen;
  throw new TypeError('a listing with data names a generation');
}

/** An empty place and one that was emptied look alike but for the documents: only in the first may a server begin anew. */
function requireNeverStored({ head, documents }: PlanInput['view'], source: string): void {
  const branched = [...documents.values()].find(({ parent }) => parent !== null);
  const told = head?.position ?? branched?.parent?.position ?? null;
  if (told === null) return;
  const by = head?.position ? HEAD_KEY : generationKey(branched?.generation as GenerationName);
  throw new CorruptionError(
    `all commits and snapshots that were stored in ${source} are gone: ${by} tells of transactions up to ${told.tx}`,
    {
      hint: 'Somebody, or a rule of the bucket that lets objects expire, removed them: look for older versions of the objects, and for another copy. A server that is started on an empty directory begins an empty database.',
      facts: { url: source, tx: told.tx },
    },
  );
}

/** The snapshots of the whole line up to the target, newest first; of one transaction, the newer generation's first. */
function candidates(line: readonly LinePart[], { view: { listing }, target }: PlanInput): PlannedManifest[] {
  return snapshotsOf({ line, listed: listing.manifests })
    .filter(({ tx }) => target === undefined || tx <= target.tx)
    .map(({ generation, tx, key, size }) => ({ generation, tx, manifestKey: key, manifestBytes: size }))
    .reverse();
}

/** The point that must be reached at least, and the checksum there if it is known to be exactly that point. */
function required({ target, view }: PlanInput, generation: GenerationName): Position | null {
  return target ?? (view.head?.generation === generation ? view.head.position : null);
}

/** A log that ends before what is known to be stored is no log to restore, however good it is. */
function reaches({ end }: FoundLog, input: PlanInput, generation: GenerationName): boolean {
  const point = required(input, generation);
  return point === null || end.tx > point.tx || (end.tx === point.tx && end.crc === point.crc);
}

/**
 * Whether every older snapshot fails as this one did: its log would have to lead through the same transactions. A
 * walk from each of them would take minutes where there are many, only to find the same hole.
 */
const noneBeforeReaches = ({ tx }: PlannedManifest, outcome: FoundLog | NoLog, point: Position | null): boolean =>
  ('why' in outcome && outcome.hole !== null) || (point !== null && tx <= point.tx);

function planned(
  { view, target }: PlanInput,
  {
    generation,
    line,
    log,
    snapshot,
  }: Pick<RestorePlan, 'generation' | 'line' | 'snapshot'> & { readonly log: FoundLog },
): PlanOutcome {
  const objects = log.segments.flatMap(({ pieces }) => pieces.map(({ object }) => object));
  const logBytes = objects.reduce((sum, { size }) => sum + size, 0);
  const snapshotPlain = snapshot === null ? 0 : snapshot.header.plainBytes + snapshot.header.snapshotFile.plainLength;
  const plan: RestorePlan = {
    generation,
    databaseIdentity: view.documents.get(generation)?.databaseIdentity ?? snapshot?.header.databaseIdentity ?? null,
    line,
    // Names tell no exact time within an object.
    target: target ?? log.end,
    snapshot,
    commitFromManifest: log.commitFromManifest,
    segments: log.segments,
    timeBefore: log.timeBefore,
    workBytes: logBytes + (snapshot === null ? 0 : snapshot.manifestBytes + snapshot.header.plainBytes),
    workObjects: objects.length + (snapshot?.header.objects ?? 0),
    plainBytesMin: logBytes + snapshotPlain,
    // What comes later in the restored line itself is not abandoned by it.
    abandoned: findAbandonedLines(view, log.end, { own: generation }),
    beyond: findBeyond(view, generation, target ?? log.end),
  };
  return { kind: 'plan', plan };
}

/** Of a line that is restored to its end nothing leads to these: what comes before them is missing, or under way. */
function findBeyond(
  { listing }: PlanInput['view'],
  generation: GenerationName,
  { tx }: Position,
): RestorePlan['beyond'] {
  let objects = 0;
  let furthest = tx;
  for (const { first, last } of listing.logObjects.get(generation) ?? []) {
    if (first <= tx) continue;
    objects += 1;
    if (last > furthest) furthest = last;
  }
  return objects === 0 ? null : { objects, last: furthest };
}

function noPlanError(input: PlanInput, generation: GenerationName, refused: readonly NoLog[]): Error {
  const { view, unusable, target } = input;
  const reasons = refused.map(({ why }) => why).join('; ') || 'the log does not lead there';
  const point = required(input, generation);
  const facts = { generation, ...(point === null ? {} : { tx: point.tx }) };
  const [damage] = unusable.values();
  // What a newer release wrote is not damaged: only that release can tell.
  if (damage instanceof UnsupportedFormatError) return damage;
  if (damage !== undefined) {
    return new CorruptionError(`no undamaged way to restore generation ${generation} is left: ${damage.message}`, {
      cause: damage,
      hint: 'Look for another copy of that object, or an older version of it, in the store. The format page says how to take by hand what stands before it.',
      facts,
    });
  }
  const isWhole = refused.some(({ end }) => end !== null && point !== null && end.tx >= point.tx);
  if ((point !== null && !isWhole) || refused.some(({ hole }) => hole !== null)) {
    const stored =
      point === null ? '' : `, which is stored up to ${formatPosition(point)} by ${target ? 'the plan' : 'its head'}`;
    return new CorruptionError(`log objects are missing in generation ${generation}${stored}: ${reasons}`, {
      hint: 'Somebody or something deleted them from the store: look for older versions of the objects.',
      facts,
    });
  }
  const others = findAbandonedLines(view, null).filter((other) => other.generation !== generation);
  const elsewhere = others.map(
    ({ generation: name, last }) => `generation ${name} ends at ${last.tx}, ${formatTimestamp(last.time)}`,
  );
  return new UnrecoverablePointError(`generation ${generation} has no recovery point: ${reasons}`, {
    hint:
      elsewhere.length === 0
        ? 'Let replicate run until a snapshot is stored.'
        : `Another line holds one, which a restore never takes by itself: ${elsewhere.join('; ')}.`,
    facts,
  });
}
