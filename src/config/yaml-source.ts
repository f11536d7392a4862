/**
 * YAML text to plain values, with the place of every key and value. Strict: one document, no duplicate keys, no
 * anchors, aliases or tags (they would hide where a value comes from).
 */
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import type { OptionPath } from './declared.ts';
import { type Environment, expandVariables } from './expand.ts';
import type { Place, Problem } from './problem.ts';

export interface YamlSource {
  /** Plain objects, arrays, strings, numbers, booleans and null; undefined when there are problems of syntax. */
  readonly value: unknown;
  readonly problems: readonly Problem[];
  /** Where the value at `path` stands, or the nearest thing around it. */
  placeOf(path: OptionPath): Place | null;
  /** Where the key that is the last part of `path` stands. */
  placeOfKey(path: OptionPath): Place | null;
  /** Whether a variable was put into the text at `path`. */
  isExpanded(path: OptionPath): boolean;
}

const nameOf = (path: OptionPath): string => JSON.stringify(path);

class Reader {
  readonly problems: Problem[] = [];
  readonly values = new Map<string, Place>();
  readonly keys = new Map<string, Place>();
  readonly expanded = new Set<string>();
  readonly #lines: LineCounter;
  readonly #environment: Environment;

  constructor(lines: LineCounter, environment: Environment) {
    this.#lines = lines;
    this.#environment = environment;
  }

  placeAt(offset: number): Place {
    const { line, col } = this.#lines.linePos(offset);
    return { line, column: col };
  }

  read(node: Node | null | undefined, path: OptionPath): unknown {
    if (!node) return null;
    const place = this.placeAt(node.range?.[0] ?? 0);
    this.values.set(nameOf(path), place);
    if (isAlias(node)) return this.#refuse(place, 'aliases are not read here: write the value out');
    if (node.anchor !== undefined) return this.#refuse(place, 'anchors are not read here: write each value out');
    if (node.tag !== undefined && !node.tag.startsWith('tag:yaml.org,2002:'))
      return this.#refuse(place, `the tag ${node.tag} is not known here`);
    if (isMap(node)) return Object.fromEntries(node.items.map((pair) => this.#entry(pair, path)));
    if (isSeq(node)) return node.items.map((item, index) => this.read(item as Node | null, [...path, index]));
    if (!isScalar(node)) return null;
    return typeof node.value === 'string' ? this.#text(node.value, { path, place }) : node.value;
  }

  #entry(pair: { key: unknown; value: unknown }, path: OptionPath): [string, unknown] {
    const keyNode = pair.key as Node | null;
    const key = isScalar(keyNode) ? String(keyNode.value) : '?';
    const childPath = [...path, key];
    const place = this.placeAt(keyNode?.range?.[0] ?? 0);
    this.keys.set(nameOf(childPath), place);
    this.values.set(nameOf(childPath), place);
    return [key, this.read(pair.value as Node | null, childPath)];
  }

  #text(text: string, { path, place }: { path: OptionPath; place: Place }): string {
    const expansion = expandVariables(text, this.#environment);
    for (const message of expansion.problems) this.problems.push({ place, message });
    if (expansion.expanded) this.expanded.add(nameOf(path));
    return expansion.text;
  }

  #refuse(place: Place, message: string): null {
    this.problems.push({ place, message });
    return null;
  }
}

function syntaxMessage(error: { code: string; message: string }): string {
  if (error.code === 'DUPLICATE_KEY') return 'this key was given before: keep one of the two';
  if (error.code === 'MULTIPLE_DOCS') return 'a second document begins here: the file must be one';
  return `not valid YAML: ${error.message}`;
}

export function readYaml(text: string, environment: Environment): YamlSource {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    version: '1.2',
    schema: 'core',
    strict: true,
    uniqueKeys: true,
    merge: false,
  });
  const reader = new Reader(lines, environment);
  for (const error of [...document.errors, ...document.warnings]) {
    reader.problems.push({ place: reader.placeAt(error.pos[0]), message: syntaxMessage(error) });
  }
  const value = reader.problems.length > 0 ? undefined : reader.read(document.contents, []);
  const nearest = (path: OptionPath): Place | null => {
    for (let depth = path.length; depth >= 0; depth -= 1) {
      const place = reader.values.get(nameOf(path.slice(0, depth)));
      if (place) return place;
    }
    return null;
  };
  return {
    value,
    problems: reader.problems,
    placeOf: nearest,
    placeOfKey: (path) => reader.keys.get(nameOf(path)) ?? nearest(path),
    isExpanded: (path) => reader.expanded.has(nameOf(path)),
  };
}
