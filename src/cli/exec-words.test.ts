// Invariant: what is accepted has the words that a real shell gives its command; what only a shell can do is refused.
import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { UsageError } from '../core/errors.ts';
import { parseExecCommand } from './exec-words.ts';

/** What `sh` passes on as words; null where it does not take the text for one simple command. */
function wordsOfShell(text: string): string[] | null {
  const { status, stdout } = spawnSync('sh', ['-c', `set -f; printf '%s\\0' ${text}`], { encoding: 'utf8' });
  return status === 0 ? stdout.split('\0').slice(0, -1) : null;
}

describe('words', () => {
  test.each([
    ['spacetime start --data-dir /stdb/data', ['spacetime', 'start', '--data-dir', '/stdb/data']],
    ["  sh\t-c 'exec a | b' ", ['sh', '-c', 'exec a | b']],
    ['run "two words" \'\' ""', ['run', 'two words', '', '']],
    ['a\\ b "c\\"d\\x" e\\\\', ['a b', 'c"d\\x', 'e\\']],
    ['"/opt/my server"/bin', ['/opt/my server/bin']],
    ['env A=1 b#c d~', ['env', 'A=1', 'b#c', 'd~']],
    ['a \\\n  b\n', ['a', 'b']],
  ])('%j', (text, words) => {
    expect(parseExecCommand(text)).toEqual(words);
    expect(wordsOfShell(text.trimEnd())).toEqual(words);
  });

  test('any words, quoted, come back', () => {
    const quote = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;
    const name = fc.stringMatching(/^[a-z/.-]+$/);
    fc.assert(
      fc.property(name, fc.array(fc.string()), (program, args) => {
        const words = [program, ...args];
        expect(parseExecCommand(words.map(quote).join(' '))).toEqual(words);
      }),
    );
  });

  test('any text that is accepted has the words that a shell finds in it', () => {
    const piece = fc.constantFrom(
      'a',
      'b=',
      ' ',
      '\t',
      "'",
      '"',
      '\\',
      '\n',
      '$x',
      '`',
      ';',
      '&',
      '|',
      '*',
      '#',
      '~',
      '(',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const text = `run ${pieces.join('')}`;
        let words: readonly string[];
        try {
          words = parseExecCommand(text);
        } catch (error) {
          expect(error).toBeInstanceOf(UsageError);
          return;
        }
        expect(wordsOfShell(text)).toEqual(words);
      }),
      { numRuns: 400 },
    );
  });
});

describe('refused', () => {
  test.each([
    ['', /names no program/],
    [' \n ', /names no program/],
    ["''", /names no program/],
    ['PORT=1 server', /assignment "PORT=1"/],
    ['a && b', /contains &/],
    ['a; b', /contains ;/],
    ['a | b', /contains \|/],
    ['a > log', /contains >/],
    ['a $HOME', /contains \$/],
    ['a "$HOME"', /contains \$/],
    ['a `b`', /contains `/],
    ['a *.wasm', /contains \*/],
    ['~/bin/server', /contains ~/],
    ['a # b', /contains #/],
    ['a\nb', /contains a new line/],
    ["a 'b", /quote ' that is never closed/],
    ['a "b', /quote " that is never closed/],
    ['a \\', /ends in a backslash/],
  ])('%j', (text, said) => {
    expect(() => parseExecCommand(text)).toThrow(UsageError);
    expect(() => parseExecCommand(text)).toThrow(said);
  });
});
