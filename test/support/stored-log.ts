/** What lies in a `file:` store, read from its names and small documents alone: independent of the program. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { cutCommits, plainBytes } from './recorded-database.ts';

export interface StoredLogObject {
  readonly key: string;
  readonly generation: string;
  /** The name of the source's segment: its first transaction, 20 digits. */
  readonly segment: string;
  readonly first: bigint;
  readonly last: bigint;
  readonly prev: string;
  readonly crc: string;
  readonly bytes: number;
}

export interface StoredGeneration {
  readonly name: string;
  readonly reason: string;
  readonly parent: { readonly generation: string; readonly tx: bigint } | null;
  readonly objects: readonly StoredLogObject[];
  /** Transactions of its snapshots. */
  readonly snapshots: readonly bigint[];
}

export interface StoredDatabase {
  /** Ascending by number. */
  readonly generations: readonly StoredGeneration[];
  readonly packs: readonly { readonly key: string; readonly bytes: number }[];
  readonly objects: number;
  readonly bytes: number;
}

export interface HeadFacts {
  readonly generation: string;
  readonly owner: string;
  readonly released: boolean;
  readonly position: { readonly tx: string } | null;
}

const LOG_NAME = /^(\d{20})-(\d{20})\.\d{8}T\d{6}\.\d{6}Z\.([0-9a-f]{8})-([0-9a-f]{8})\.zst$/;

/** Keys below the store's root, ascending; names that begin with a dot are the store's own business. */
export async function listKeys(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .toSorted((a, b) => (a < b ? -1 : 1));
}

export const readHead = async (root: string): Promise<HeadFacts> =>
  JSON.parse(await readFile(join(root, 'head.json'), 'utf8')) as HeadFacts;

export async function readStored(root: string): Promise<StoredDatabase> {
  const keys = await listKeys(root);
  const sizes = new Map<string, number>();
  for (const key of keys) sizes.set(key, (await stat(join(root, key))).size);
  const generations: StoredGeneration[] = [];
  for (const key of keys.filter((candidate) => candidate.endsWith('/generation.json'))) {
    const name = key.split('/')[1] ?? '';
    const document = JSON.parse(await readFile(join(root, key), 'utf8')) as {
      reason: string;
      parent: { generation: string; tx: string } | null;
    };
    const own = keys.filter((candidate) => candidate.startsWith(`generations/${name}/`));
    generations.push({
      name,
      reason: document.reason,
      parent: document.parent && { generation: document.parent.generation, tx: BigInt(document.parent.tx) },
      objects: own
        .flatMap((candidate) => parseLogKey(candidate, sizes.get(candidate) ?? 0))
        .toSorted((a, b) => Number(a.first - b.first)),
      snapshots: own
        .filter((candidate) => candidate.endsWith('/manifest.ndjson.zst'))
        .map((candidate) => BigInt(candidate.split('/')[3] ?? '')),
    });
  }
  const packs = keys.filter((key) => key.endsWith('.pack')).map((key) => ({ key, bytes: sizes.get(key) ?? 0 }));
  const bytes = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  return { generations, packs, objects: keys.length, bytes };
}

function parseLogKey(key: string, bytes: number): StoredLogObject[] {
  const [, first, last, prev, crc] = LOG_NAME.exec(basename(key)) ?? [];
  if (first === undefined || last === undefined || prev === undefined || crc === undefined) return [];
  const [, generation = '', , , segment = ''] = key.split('/');
  return [{ key, generation, segment, first: BigInt(first), last: BigInt(last), prev, crc, bytes }];
}

export interface LineFacts {
  /** The log objects that the line is made of, ascending. */
  readonly objects: readonly StoredLogObject[];
  /** Objects that lie beyond the parent point of a later generation: a killed writer's work behind a hole. */
  readonly beyondParentPoints: readonly StoredLogObject[];
  /** Where two objects of the line hold the same transaction, or none holds it, or checksums do not join. */
  readonly faults: readonly string[];
}

/** The head's line: each generation up to the point where its child branched. */
export function lineOf({ generations }: StoredDatabase, head: string): LineFacts {
  const objects: StoredLogObject[] = [];
  const beyondParentPoints: StoredLogObject[] = [];
  let until: bigint | null = null;
  for (let name: string | null = head; name !== null; ) {
    const generation = generations.find((candidate) => candidate.name === name);
    if (generation === undefined) throw new Error(`generation ${name} is named but not there`);
    const limit: bigint | null = until;
    objects.unshift(...generation.objects.filter(({ first }) => limit === null || first <= limit));
    beyondParentPoints.push(...generation.objects.filter(({ last }) => limit !== null && last > limit));
    until = generation.parent?.tx ?? null;
    name = generation.parent?.generation ?? null;
  }
  const faults = objects.flatMap((object, index) => {
    const before = objects[index - 1];
    if (before === undefined) return [];
    if (object.first <= before.last) return [`${object.key} repeats transactions of ${before.key}`];
    if (object.first > before.last + 1n) return [`nothing holds ${before.last + 1n} to ${object.first - 1n}`];
    return object.prev === before.crc ? [] : [`${object.key} does not join ${before.key}`];
  });
  return { objects, beyondParentPoints, faults };
}

/**
 * The line's log unpacked: for each segment's name its header and commits. Of an object that goes on beyond a parent point
 * the child's commits count.
 */
export async function readLineSegments(root: string, { objects }: LineFacts): Promise<Map<string, Buffer>> {
  const segments = new Map<string, Buffer>();
  let nextTx = objects[0]?.first ?? 0n;
  for (const [index, { key, segment }] of objects.entries()) {
    const plain = plainBytes(await readFile(join(root, key)));
    const until = objects[index + 1]?.first ?? null;
    const commits = cutCommits(plain).filter(
      ({ firstTx, lastTx }) => firstTx >= nextTx && (until === null || lastTx < until),
    );
    nextTx = (commits.at(-1)?.lastTx ?? nextTx - 1n) + 1n;
    const begun = segments.get(segment) ?? plain.subarray(0, 10);
    segments.set(segment, Buffer.concat([begun, ...commits.map(({ bytes }) => bytes)]));
  }
  return segments;
}
