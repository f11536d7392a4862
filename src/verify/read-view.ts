/** Everything that names and documents tell of one database's backup. What cannot be read is a finding, never an end. */
import { errorMessage, UnsupportedFormatError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { decodeFormatDocument } from '../layout/format-document.ts';
import { decodeHeadDocument } from '../layout/head-document.ts';
import { FORMAT_KEY, generationKey, HEAD_KEY } from '../layout/keys.ts';
import { type Listing, readListing } from '../layout/listing.ts';
import { withoutIt } from '../layout/object-error.ts';
import { readDocuments, readOrNull } from '../restore/read-store.ts';
import type { StoreView } from '../restore/plan-types.ts';
import type { ReplicaClient } from '../replica/replica-client.ts';
import { type Finding, NO_EFFECT, REMEDY } from './finding.ts';
import { isBad } from './is-bad.ts';
import { NotGivenError, whyNotGiven } from './not-given.ts';

export interface ReadViewOptions {
  /** Its prefix is the database's, or that of a server's own files. */
  readonly client: ReplicaClient;
  /** Requests at once. */
  readonly parallelism: number;
  readonly log: Log;
  readonly signal: AbortSignal;
}

export interface CheckedView extends StoreView {
  readonly findings: readonly Finding[];
}

/** @throws what the client throws */
export async function readView(options: ReadViewOptions): Promise<CheckedView> {
  const { client, signal } = options;
  const findings: Finding[] = [];
  // The head before the listing: then whatever position it tells must be in the listing.
  const head = await readDocument(HEAD_KEY, decodeHeadDocument, { ...options, findings });
  const format = await readDocument(FORMAT_KEY, decodeFormatDocument, { ...options, findings });
  const listing = await readListing(client.list('', { signal }));
  const read = await readDocuments([...listing.generationDocuments], options);
  for (const [generation, error] of read.badDocuments) {
    const effect = 'no line that leads through this generation can be restored';
    findings.push(badObject(generationKey(generation), error, effect));
  }
  const hasData = listing.generations.some(({ holdsData }) => holdsData);
  if (hasData && head === null && !listing.hasHead) {
    const effect = 'a restore takes the newest generation, which may be that of a writer that was replaced';
    findings.push(missing(HEAD_KEY, effect));
  }
  if (hasData && format === null && !listing.hasFormat) {
    findings.push(missing(FORMAT_KEY, NO_EFFECT));
  }
  findings.push(...foreignFindings(listing));
  return { head, listing, ...read, findings };
}

async function readDocument<T>(
  key: string,
  decode: (bytes: Uint8Array) => T,
  { findings, ...options }: ReadViewOptions & { readonly findings: Finding[] },
): Promise<T | null> {
  try {
    const bytes = await readOrNull(key, options);
    const lost = bytes === null ? await whyNotGiven(key, options) : null;
    if (lost !== null) throw lost;
    return bytes && decode(bytes);
  } catch (error) {
    if (!isBad(error)) throw error;
    findings.push(badObject(key, error, 'every restore stops here until it is mended'));
    return null;
  }
}

export function badObject(key: string, error: Error, effect: string): Finding {
  const isUnsupported = error instanceof UnsupportedFormatError;
  return {
    severity: 'damage',
    kind: isUnsupported ? 'unsupported' : error instanceof NotGivenError ? 'missing' : 'altered',
    key,
    message: errorMessage(error),
    effect,
    remedy: isUnsupported ? REMEDY.newerRelease : `${REMEDY.otherCopy}${withoutIt(key)}`,
  };
}

const missing = (key: string, effect: string): Finding => ({
  severity: 'damage',
  kind: 'missing',
  key,
  message: `${key} is missing, although commits or snapshots are stored`,
  effect,
  remedy: REMEDY.writer,
});

function foreignFindings({ foreign: { count, first } }: Listing): Finding[] {
  if (count === 0) return [];
  const more = count > first.length ? ` and ${count - first.length} more` : '';
  return [
    {
      severity: 'note',
      kind: 'foreign',
      key: first[0] ?? null,
      message: `${count === 1 ? 'one object is' : `${count} objects are`} not of this backup: ${first.map((key) => JSON.stringify(key)).join(', ')}${more}`,
      effect: 'none: they are ignored',
      remedy: 'They were put there by somebody else, or are names that were changed. Nothing of ours removes them.',
    },
  ];
}
