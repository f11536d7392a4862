/** Violations of each kind, one a file, and which tool must find them under which name. */

export type Tool = 'oxlint' | 'tsc' | 'biome' | 'knip';

export interface Planted {
  readonly tool: Tool;
  readonly path: string;
  readonly text: string;
  /** What the tool's line about that file must hold. */
  readonly finding: string;
}

const ASYNC = 'async function work(): Promise<void> {\n  await Promise.resolve();\n}\n';

export const PLANTED: readonly Planted[] = [
  {
    tool: 'oxlint',
    path: 'src/core/planted-floating.ts',
    text: `${ASYNC}export function start(): void {\n  work();\n}\n`,
    finding: 'no-floating-promises',
  },
  {
    tool: 'oxlint',
    path: 'src/core/planted-misused.ts',
    text: `${ASYNC}export const go = (list: number[]): void => list.forEach(async () => work());\n`,
    finding: 'no-misused-promises',
  },
  {
    tool: 'oxlint',
    path: 'src/core/planted-await.ts',
    text: 'export async function wait(): Promise<number> {\n  return await 1;\n}\n',
    finding: 'await-thenable',
  },
  {
    tool: 'oxlint',
    path: 'src/core/planted-any.ts',
    text: 'export const same = (value: any): unknown => value;\n',
    finding: 'no-explicit-any',
  },
  {
    tool: 'oxlint',
    path: 'src/core/planted-unsafe.ts',
    text: 'export const parse = (text: string): number => JSON.parse(text);\n',
    finding: 'no-unsafe-return',
  },
  {
    tool: 'oxlint',
    path: 'src/core/planted-default.ts',
    text: 'export default 1;\n',
    finding: 'no-default-export',
  },
  {
    tool: 'oxlint',
    path: 'src/core/planted-barrel.ts',
    text: "export * from './types.ts';\n",
    finding: 'no-barrel-file',
  },
  {
    tool: 'oxlint',
    path: 'src/core/planted-process.ts',
    text: 'export const name = process.title;\n',
    finding: 'no-restricted-globals',
  },
  {
    tool: 'oxlint',
    path: 'src/core/planted-sdk.ts',
    text: "import type { S3Client } from '@aws-sdk/client-s3';\nexport type Client = S3Client;\n",
    finding: 'no-restricted-imports',
  },
  {
    tool: 'oxlint',
    path: 'src/core/planted-lazy.ts',
    text: "export const load = (): Promise<unknown> => import('../zstd/planted-leaf.ts');\n",
    finding: 'no-restricted-imports',
  },
  {
    tool: 'oxlint',
    path: 'src/cli/planted-value.ts',
    text: "import { leaf } from '../restore/planted-value.ts';\n\nexport const seen = leaf;\n",
    finding: 'no-restricted-imports',
  },
  {
    tool: 'oxlint',
    path: 'src/core/planted-cycle-a.ts',
    text: "import type { B } from './planted-cycle-b.ts';\nexport interface A {\n  readonly b?: B;\n}\n",
    finding: 'no-cycle',
  },
  {
    tool: 'oxlint',
    path: 'src/core/planted-cycle-b.ts',
    text: "import type { A } from './planted-cycle-a.ts';\nexport interface B {\n  readonly a?: A;\n}\n",
    finding: 'no-cycle',
  },
  {
    tool: 'oxlint',
    path: 'src/core/planted-switch.ts',
    text: "export function side(at: 'left' | 'right'): void {\n  switch (at) {\n    case 'left':\n  }\n}\n",
    finding: 'switch-exhaustiveness-check',
  },
  {
    tool: 'biome',
    path: 'src/core/planted-format.ts',
    text: 'export const  list = [1,2]\n',
    finding: 'format',
  },
  {
    tool: 'tsc',
    path: 'src/core/planted-type.ts',
    text: "export const count: number = 'one';\n",
    finding: 'TS2322',
  },
  {
    tool: 'tsc',
    path: 'src/core/planted-unchecked.ts',
    text: 'export const first = (list: readonly number[]): number => list[0];\n',
    finding: 'TS2322',
  },
  {
    tool: 'tsc',
    path: 'src/core/planted-enum.ts',
    text: 'export enum Side {\n  Left,\n}\n',
    finding: 'TS1294',
  },
  {
    tool: 'knip',
    path: 'src/core/planted-unused-file.ts',
    text: 'export const nobody = 1;\n',
    finding: 'planted-unused-file.ts: ',
  },
  {
    tool: 'knip',
    path: 'src/core/planted-dead-export.ts',
    text: 'export const used = 1;\nexport const dead = 2;\n',
    finding: ': dead',
  },
  {
    tool: 'knip',
    path: 'bench/planted-entry.ts',
    text: "import { used } from '../src/core/planted-dead-export.ts';\nimport 'not-declared';\nexport const all = used;\n",
    finding: ': not-declared',
  },
];
