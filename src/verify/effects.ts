/** What a finding means for whoever must restore. Asks the planner's own view of recoverable points; pure. */
import type { GenerationName } from '../layout/keys.ts';
import { chooseGeneration } from '../layout/line.ts';
import type { ManifestFacts, StoreView } from '../restore/plan-types.ts';
import { lineTo, type RecoverableRange, recoverableRanges } from '../restore/recoverable.ts';
import { NO_EFFECT } from './finding.ts';
import { isBad } from './is-bad.ts';
import { describeLost, lostRanges, toLost } from './lost-ranges.ts';

/** Each effect walks a line: of more findings than this only the fact is told. */
const EFFECTS_MAX = 64;
const NO_LINE = 'no point of the lines that lead through there can be restored until this is mended';

export class Effects {
  readonly #view: StoreView;
  readonly #manifests: ReadonlyMap<string, ManifestFacts>;
  /** Of the line that a restore takes. */
  readonly #head: GenerationName | null;
  readonly #headLine: ReadonlySet<GenerationName>;
  readonly #unusable = new Map<string, Error>();
  #told = 0;
  /** By generation and end: each walks a line, and all holes of a generation have one effect. */
  readonly #ofHoles = new Map<string, string>();

  constructor(view: StoreView, manifests: ReadonlyMap<string, ManifestFacts>) {
    this.#view = view;
    this.#manifests = manifests;
    this.#head = chooseGeneration(view.head, view.listing.generations);
    this.#headLine = new Set(this.#head === null ? [] : partsOf(view, this.#head));
  }

  /** All that was asked about so far, by key: what can be restored is without it. */
  get unusable(): ReadonlyMap<string, Error> {
    return this.#unusable;
  }

  /** Of objects and manifests of one generation that are of no use, by key. */
  ofUnusable(generation: GenerationName, unusable: ReadonlyMap<string, Error>): string {
    for (const [key, error] of unusable) this.#unusable.set(key, error);
    this.#told += 1;
    if (this.#told > EFFECTS_MAX) return 'not told of each of so many: `points` shows what can be restored';
    const lost = lostRanges({ ...this.#common(generation), unusable });
    return lost === null ? NO_LINE : describeLost(lost);
  }

  /** Of commits that are not there, up to `until` where somebody knows how far the log was stored. */
  ofHoles(generation: GenerationName, until: bigint | null): string {
    const name = `${generation} ${until}`;
    const known = this.#ofHoles.get(name) ?? this.#describeHoles(generation, until);
    this.#ofHoles.set(name, known);
    return known;
  }

  #describeHoles(generation: GenerationName, until: bigint | null): string {
    const common = this.#common(generation);
    let ranges: readonly RecoverableRange[];
    try {
      ranges = recoverableRanges(common.view, common.generation, common);
    } catch (error) {
      if (isBad(error)) return NO_LINE;
      throw error;
    }
    if (ranges.length === 0) return 'no point of its line can be restored';
    const lost = holesBetween(ranges, until).map(([from, to]) => toLost(from, to, ranges));
    const named = lost.map((one) => ({ ...one, generation: common.generation }));
    return named.length === 0 ? `${NO_EFFECT}: other objects hold the same` : describeLost(named);
  }

  #common(generation: GenerationName): {
    readonly view: StoreView;
    readonly generation: GenerationName;
    readonly manifests: ReadonlyMap<string, ManifestFacts>;
  } {
    const end = this.#head !== null && this.#headLine.has(generation) ? this.#head : generation;
    return { view: this.#view, generation: end, manifests: this.#manifests };
  }
}

function holesBetween(ranges: readonly RecoverableRange[], until: bigint | null): [bigint, bigint][] {
  const holes: [bigint, bigint][] = [];
  let next = 0n;
  for (const { first, to } of ranges) {
    if (first > next) holes.push([next, first - 1n]);
    next = to.tx + 1n;
  }
  if (until !== null && until >= next) holes.push([next, until]);
  return holes;
}

/** Generations of a line; those that can be told where it cannot be walked. */
function partsOf(view: StoreView, generation: GenerationName): GenerationName[] {
  try {
    return lineTo(view, generation).map((part) => part.generation);
  } catch (error) {
    if (isBad(error)) return [generation];
    throw error;
  }
}
