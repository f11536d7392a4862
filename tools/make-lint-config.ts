// Makes .oxlintrc.json from tools/lint-rules.json and the table of zones. `--check` only says whether it is current.
// The linter's patterns have no look-around, and one that it cannot read matches nothing without a word: therefore each
// forbidden zone is written out, and test/tidy plants an import across every border.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { NEVER, ZONES, type Zone } from './zones.ts';

const at = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const TARGET = at('../.oxlintrc.json');

const escape = (text: string): string => text.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&');
const UP = String.raw`^(\.\./)+`;

/** A pattern that matches every relative path into `dir` from any other zone. */
function pathInto(dir: string): string {
  if (dir === 'replica') return String.raw`${UP}replica/[^/]+$`;
  const [room = dir, folder] = dir.split('/');
  return folder === undefined ? `${UP}${escape(room)}/` : `${UP}(${room}/)?${escape(folder)}/`;
}

function packagePattern(name: string): string {
  return name.endsWith('/*') ? `^${escape(name.slice(0, -1))}` : `^${escape(name)}(/|$)`;
}

/** One entry of the linter's `no-restricted-imports`. */
interface Pattern {
  readonly message: string;
  readonly regex?: string;
  readonly group?: readonly string[];
  readonly allowTypeImports?: boolean;
}

function patternsFor(zone: Zone): Pattern[] {
  const mayImport = zone.imports.length === 0 ? 'nothing else' : zone.imports.join(', ');
  const message = `src/${zone.dir} may import ${mayImport}: see tools/zones.ts.`;
  const patterns: Pattern[] = [];
  for (const { dir } of ZONES) {
    if (dir === zone.dir || zone.imports.includes(dir)) continue;
    // A zone of which single files are free is closed by one glob with exceptions instead, below.
    if (zone.files?.some((file) => file.startsWith(`${dir.split('/')[0]}/`))) continue;
    const typesToo = zone.types?.includes(dir) ? { allowTypeImports: true } : {};
    patterns.push({ regex: pathInto(dir), message, ...typesToo });
  }
  for (const room of new Set(zone.files?.map((file) => file.split('/')[0]))) {
    const free = zone.files?.filter((file) => file.startsWith(`${room}/`)).map((file) => `!**/${file}`) ?? [];
    patterns.push({ group: [`**/${room}/**`, ...free], message });
  }
  const elsewhere = ZONES.flatMap(({ packages = [] }) => packages).filter((name) => !zone.packages?.includes(name));
  for (const name of new Set([...elsewhere, ...NEVER])) {
    patterns.push({ regex: packagePattern(name), message: `${name} is not for src/${zone.dir}: see tools/zones.ts.` });
  }
  patterns.push({ regex: String.raw`${UP}(index|bin)\.ts$`, message: 'Import the file that has it.' });
  patterns.push({
    regex: `${UP}(test|bench|tools|dist)/`,
    message: 'The program does not depend on what surrounds it.',
  });
  patterns.push({ regex: '^(node:)?process$', message: 'Only src/bin.ts touches the process.' });
  return patterns;
}

const base = JSON.parse(readFileSync(at('lint-rules.json'), 'utf8')) as { overrides: readonly unknown[] };
const zoneOverrides = ZONES.map((zone) => ({
  files: [zone.dir === 'replica' ? 'src/replica/*.ts' : `src/${zone.dir}/**/*.ts`],
  rules: { 'no-restricted-imports': ['error', { patterns: patternsFor(zone) }] },
}));
// Later overrides win: what is said of tests in lint-rules.json holds in every zone.
const config = { ...base, overrides: [...zoneOverrides, ...base.overrides] };
const text = `${JSON.stringify(config, null, 2)}\n`;

if (process.argv.includes('--check')) {
  if (readFileSync(TARGET, 'utf8') !== text) {
    process.stderr.write('.oxlintrc.json is not what tools/make-lint-config.ts makes: run npm run lint:config\n');
    process.exitCode = 1;
  }
} else writeFileSync(TARGET, text);
