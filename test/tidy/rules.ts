/** Taste that a machine can check in the text of one file. Each rule brings a text that it must refuse. */

export interface Rule {
  readonly name: string;
  readonly appliesTo: (path: string) => boolean;
  /** What is wrong: one line for each finding. */
  readonly find: (path: string, text: string) => readonly string[];
  readonly planted: { readonly path: string; readonly text: string };
}

/** Few files may be longer than this; a test may hold a long table of cases. */
const LINES_MAX = 300;
const TEST_LINES_MAX = 400;

/** Longer for a reason, which stands beside the name. */
const LONG_FILES: Readonly<Record<string, string>> = {
  '.oxlintrc.json': 'generated',
  'package-lock.json': 'generated',
  'README.md': 'one page for a person who searches it',
};

/** These pages quote what they forbid, or tell a history on purpose. */
const QUOTES = new Set(['test/tidy/rules.ts', 'test/tidy/planted.ts', 'LICENSE', 'CHANGELOG.md', 'package-lock.json']);

const isCode = (path: string): boolean => /\.(ts|js)$/.test(path);
const isText = (path: string): boolean => !QUOTES.has(path);

function forbid(pattern: RegExp): Rule['find'] {
  return (path, text) =>
    text.split('\n').flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : []));
}

export const RULES: readonly Rule[] = [
  {
    name: 'no file is longer than 300 lines (a test: 400) without a reason',
    appliesTo: (path) => !(path in LONG_FILES) && path !== 'LICENSE',
    find: (path, text) => {
      const lines = text.split('\n').length - 1;
      return lines > (path.endsWith('.test.ts') ? TEST_LINES_MAX : LINES_MAX) ? [`${path} has ${lines} lines`] : [];
    },
    planted: { path: 'src/core/long.ts', text: '//\n'.repeat(LINES_MAX + 1) },
  },
  {
    name: 'source files have kebab-case names',
    appliesTo: (path) => /^(src|test|bench|tools)\//.test(path) && isCode(path),
    find: (path) => (/\/[a-z0-9]+(-[a-z0-9]+)*(\.(test|contract|bench))?\.(ts|js)$/.test(path) ? [] : [path]),
    planted: { path: 'src/core/byteBudget.ts', text: '' },
  },
  {
    name: 'no any in a type',
    appliesTo: (path) => path.endsWith('.ts') && isText(path),
    find: forbid(/[:<|,]\s*any\b(?!\w| [a-z])|\bas any\b/),
    planted: { path: 'src/core/x.ts', text: 'export const x = (y: any) => y;' },
  },
  {
    name: 'no test is singled out, and none is left out but by name and with a reason',
    appliesTo: (path) => isCode(path) && isText(path),
    find: forbid(/\b(test|it|describe)(\.\w+)*\.(only|skip|todo|skipIf|runIf)\b|\.skip\(\)|\bxit\(|\bxtest\(/),
    planted: { path: 'src/core/x.test.ts', text: "test.skip('later', () => {});" },
  },
  {
    name: 'no history and no unfinished work in code and docs',
    appliesTo: (path) => isText(path),
    find: forbid(
      /\b(previously|formerly|used to be|renamed from|was renamed|refactored|legacy|as before|TODO|FIXME|XXX|HACK)\b/,
    ),
    planted: { path: 'docs/x.md', text: 'This was previously one file.' },
  },
  {
    name: 'no path of one machine',
    appliesTo: (path) => isText(path),
    find: forbid(/(^|[\s"'`(=:])\/(work|root|Users|home\/\w+)\//),
    planted: { path: 'docs/x.md', text: 'See /home/someone/notes.' },
  },
  {
    name: 'no name of a package registry',
    appliesTo: (path) => !QUOTES.has(path) || path === 'package-lock.json',
    find: forbid(/\bregistry\.\w+\.(com|org|io)\b|"resolved": "https?:/),
    planted: { path: 'package-lock.json', text: '"resolved": "https://registry.example.org/x.tgz"' },
  },
  {
    name: 'docs and comments are prose of our own: no emphasis by emoji',
    appliesTo: (path) => isText(path),
    find: forbid(/\p{Extended_Pictographic}/u),
    planted: { path: 'README.md', text: 'Fast! \u{1F680}' },
  },
];
