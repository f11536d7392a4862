/** The chain of every generation, and how they branch: from names and documents alone. Pure. */
import { CorruptionError, errorMessage } from '../core/errors.ts';
import { samePosition } from '../core/types.ts';
import type { GenerationDocument } from '../layout/generation-document.ts';
import { type GenerationName, generationKey, HEAD_KEY } from '../layout/keys.ts';
import type { StoreView } from '../restore/plan-types.ts';
import { lineTo } from '../restore/recoverable.ts';
import { checkGeneration, type KnownPosition } from './check-generation.ts';
import type { Effects } from './effects.ts';
import { type Finding, REMEDY } from './finding.ts';
import { isBad } from './is-bad.ts';

export interface CheckChainOptions {
  readonly view: StoreView;
  readonly effects: Effects;
}

export function checkChain({ view, effects }: CheckChainOptions): Finding[] {
  const { documents, badDocuments, listing } = view;
  const findings: Finding[] = [];
  const known = knownPositions(view);
  for (const { generation, holdsData } of listing.generations) {
    const document = documents.get(generation);
    if (document === undefined) {
      if (!badDocuments.has(generation) && holdsData) findings.push(noDocument(generation));
      continue;
    }
    findings.push(...lineFindings(generation, view));
    const checked = checkGeneration({
      document,
      objects: listing.logObjects.get(generation) ?? [],
      known: known.get(generation) ?? [],
      hasSnapshot: (first, last) => [...listing.manifests.values()].flat().some(({ tx }) => tx >= first && tx <= last),
    });
    const until = (known.get(generation) ?? []).reduce((max, { position: { tx } }) => (tx > max ? tx : max), -1n);
    for (const finding of checked.findings) {
      const effect = finding.effect === '' ? effects.ofHoles(generation, until < 0n ? null : until) : finding.effect;
      findings.push({ ...finding, effect });
    }
  }
  findings.push(...headFindings(view));
  return findings;
}

/** For each generation the positions that somebody says were stored in it. */
function knownPositions({ documents, head }: StoreView): Map<GenerationName, KnownPosition[]> {
  const known = new Map<GenerationName, KnownPosition[]>();
  const add = (generation: GenerationName, { position, by }: KnownPosition): void => {
    const seen = new Set<GenerationName>();
    let at = generation;
    // A point at or before the one where a generation begins is its parent's.
    for (let parent = documents.get(at)?.parent; parent && position.tx <= parent.position.tx && !seen.has(at); ) {
      seen.add(at);
      at = parent.generation;
      parent = documents.get(at)?.parent;
    }
    known.set(at, [...(known.get(at) ?? []), { position, by }]);
  };
  for (const { generation, parent } of documents.values()) {
    if (parent !== null) add(parent.generation, { position: parent.position, by: generationKey(generation) });
  }
  if (head !== null && head.position !== null) {
    const { tx, crc } = head.position;
    add(head.generation, { position: { tx, crc }, by: HEAD_KEY });
  }
  return known;
}

/** Its parents: there, older, and where they should be. */
function lineFindings(generation: GenerationName, view: StoreView): Finding[] {
  const document = view.documents.get(generation) as GenerationDocument;
  const { parent } = document;
  if (parent === null) return [];
  const above = view.documents.get(parent.generation);
  if (above === undefined) {
    // Told of once, where it is damaged or holds data; here where nothing else is left of it.
    const isTold =
      view.badDocuments.has(parent.generation) ||
      view.listing.generations.some((one) => one.generation === parent.generation && one.holdsData);
    return isTold ? [] : [noDocument(parent.generation)];
  }
  const grand = above.parent;
  const isEqual = grand !== null && grand.position.tx === parent.position.tx;
  try {
    lineTo(view, generation);
    if (!isEqual || samePosition(grand.position, parent.position)) return [];
    throw new CorruptionError(
      `generation ${generation} branches at another commit than ${parent.generation} begins at`,
    );
  } catch (error) {
    if (!isBad(error)) throw error;
    // A document further up is told of by itself.
    if (error.facts['key'] !== undefined) return [];
    return [
      {
        severity: 'damage',
        kind: 'contradiction',
        key: generationKey(generation),
        message: errorMessage(error),
        effect: `the line of generation ${generation} cannot be restored`,
        remedy: REMEDY.otherCopy,
      },
    ];
  }
}

function headFindings({ head, documents, badDocuments }: StoreView): Finding[] {
  if (head === null || documents.has(head.generation) || badDocuments.has(head.generation)) return [];
  return [noDocument(head.generation)];
}

const noDocument = (generation: GenerationName): Finding => ({
  severity: 'damage',
  kind: 'missing',
  key: generationKey(generation),
  message: `${generationKey(generation)} is missing`,
  effect: 'no line that leads through this generation can be restored',
  remedy: REMEDY.otherCopy,
});
