/**
 * Invariant: for every flag of every command all spellings mean the same, before and after positionals; nothing after
 * `--` and no value of a flag is taken for a flag.
 */
import type { Command } from 'commander';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type FlagTable, rewriteArgv } from './argv.ts';
import { flagTableOf } from './command.ts';
import { buildProgram } from './program.ts';
import type { Session } from './session.ts';

const quiet = { write: () => true };
const session: Session = {
  io: {
    argv: [],
    env: {},
    stdout: quiet,
    stderr: quiet,
    signals: { onSignal: () => () => undefined },
    exit: () => {
      throw new Error('exit');
    },
  },
  version: '0',
  exitCode: 0,
  flags: {},
};

const leavesOf = (
  command: Command,
  path: readonly string[] = [],
): (readonly [path: readonly string[], leaf: Command])[] =>
  command.commands.length === 0
    ? [[path, command]]
    : command.commands.flatMap((sub) => leavesOf(sub, [...path, sub.name()]));

/** What a command is given, without running it. */
async function parse(argv: readonly string[], path: readonly string[]): Promise<unknown> {
  const program = buildProgram(session);
  const [, leaf] = leavesOf(program).find(([names]) => names.join(' ') === path.join(' ')) ?? [];
  if (!leaf) throw new Error(`no command ${path.join(' ')}`);
  let given: unknown = null;
  leaf.action(() => {
    given = { flags: leaf.opts(), positionals: leaf.args };
  });
  await program.parseAsync(rewriteArgv(argv, flagTableOf(program)), { from: 'user' });
  return given;
}

const cases = leavesOf(buildProgram(session)).flatMap(([path, leaf]) =>
  leaf.options.map((option) => {
    const name = (option.long ?? option.short ?? '').replace(/^--?/, '');
    return { command: path.join(' '), path, name, takesValue: option.required };
  }),
);

describe.each(cases)('$command -$name', ({ path, name, takesValue }) => {
  // A value that looks like a flag, and like a command.
  const values = takesValue ? ['v', '-once', '--config', 'restore', '-', 'a=b'] : [undefined];

  test.each(values)('value %s', async (value) => {
    const spellings =
      value === undefined
        ? [[`-${name}`], [`--${name}`], [`-${name}=true`], [`--${name}=true`]]
        : [[`-${name}`, value], [`--${name}`, value], [`-${name}=${value}`], [`--${name}=${value}`]];
    const parsed: unknown[] = [];
    for (const spelling of spellings) {
      parsed.push(await parse([...path, ...spelling, 'a', 'b'], path));
      parsed.push(await parse([...path, 'a', ...spelling, 'b'], path));
      parsed.push(await parse([...path, 'a', 'b', ...spelling], path));
    }
    expect(parsed).toEqual(parsed.map(() => parsed[0]));
    const key = name.replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
    expect(parsed[0]).toMatchObject({ flags: { [key]: value ?? true }, positionals: ['a', 'b'] });
  });
});

test('there is something to test', () => {
  expect(cases.length).toBeGreaterThan(30);
  expect(new Set(cases.map(({ command }) => command))).toEqual(
    new Set([
      'replicate',
      'restore',
      'databases',
      'generations',
      'snapshots',
      'points',
      'log',
      'verify',
      'drill',
      'lease show',
      'lease release',
      'config check',
      'config print',
      'config schema',
      'config reference',
      'support-bundle',
      'version',
      'help',
    ]),
  );
});

const table: FlagTable = {
  flags: new Map([['log-level', 'value']]),
  commands: new Map([
    [
      'restore',
      {
        flags: new Map([
          ['o', 'value'],
          ['config', 'value'],
          ['once', 'switch'],
        ] as const),
        commands: new Map(),
      },
    ],
  ]),
};

describe('rewriting', () => {
  const rewritten: [argv: string[], expected: string[]][] = [
    [[], []],
    [
      ['restore', '-config', 'f'],
      ['restore', '--config', 'f'],
    ],
    [
      ['restore', '-config=f'],
      ['restore', '--config=f'],
    ],
    [
      ['restore', '-config='],
      ['restore', '--config='],
    ],
    [
      ['restore', '-config', '-once'],
      ['restore', '--config', '-once'],
    ],
    [
      ['restore', '-config', '--'],
      ['restore', '--config', '--'],
    ],
    [
      ['restore', '-config'],
      ['restore', '--config'],
    ],
    [
      ['restore', '-o', '-config'],
      ['restore', '-o', '-config'],
    ],
    [
      ['restore', '-o=d'],
      ['restore', '-o', 'd'],
    ],
    [
      ['restore', '--o=d'],
      ['restore', '-o', 'd'],
    ],
    [
      ['restore', '-o=-config'],
      ['restore', '-o', '-config'],
    ],
    [
      ['restore', '-once=true'],
      ['restore', '--once'],
    ],
    [['restore', '-once=false'], ['restore']],
    [
      ['restore', '-once=no'],
      ['restore', '--once=no'],
    ],
    [
      ['restore', '--', '-config', '-o=d'],
      ['restore', '--', '-config', '-o=d'],
    ],
    [
      ['restore', '-'],
      ['restore', '-'],
    ],
    [
      ['-log-level', 'restore', 'restore', '-once'],
      ['--log-level', 'restore', 'restore', '--once'],
    ],
    // Not a row of short flags of which the first takes `nly` for its value.
    [
      ['restore', '-only'],
      ['restore', '--only'],
    ],
    [
      ['restore', '-config=a\nb'],
      ['restore', '--config=a\nb'],
    ],
  ];
  test.each(rewritten)('%j', (argv, expected) => {
    expect(rewriteArgv(argv, table)).toEqual(expected);
  });

  test('what is rewritten once is not changed by a second time', () => {
    const token = fc.oneof(
      fc.constantFrom('restore', '-o', '-o=x', '--', '-once', '-config', '--config=y', '-x', 'p'),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(token), (argv) => {
        const once = rewriteArgv(argv, table);
        expect(rewriteArgv(once, table)).toEqual(once);
      }),
    );
  });
});
