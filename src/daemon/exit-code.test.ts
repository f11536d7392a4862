// Invariant: one database's failure keeps its own code; different ones become "partly done".
import { describe, expect, test } from 'vitest';
import { CorruptionError, EXIT, type ExitCode, FencedError } from '../core/errors.ts';
import { combineExitCodes, exitCodeOfError } from './exit-code.ts';

describe('combineExitCodes', () => {
  test.each([
    [[], EXIT.ok],
    [[0], EXIT.ok],
    [[13], EXIT.fenced],
    [[0, 0], EXIT.ok],
    [[75, 75, 75], EXIT.storeUnreachable],
    [[0, 14], EXIT.partial],
    [[13, 14], EXIT.partial],
    [[13, 0, 13], EXIT.partial],
  ] as [ExitCode[], ExitCode][])('%j → %i', (codes, expected) => {
    expect(combineExitCodes(codes)).toBe(expected);
  });
});

test('an error’s own code, or 1 for what nobody foresaw', () => {
  expect(exitCodeOfError(new FencedError('gone'))).toBe(13);
  expect(exitCodeOfError(new CorruptionError('bad'))).toBe(14);
  expect(exitCodeOfError(new TypeError('bug'))).toBe(1);
});
