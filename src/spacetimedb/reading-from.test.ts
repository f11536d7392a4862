/** Invariant: whatever goes wrong while a path is read, the operator learns the path, and the kind of error stays. */
import { describe, expect, test } from 'vitest';
import {
  AssertionError,
  CorruptionError,
  LocalFileError,
  type ReplicateError,
  UnsupportedFormatError,
} from '../core/errors.ts';
import { readingFrom } from './reading-from.ts';

const failing = (error: unknown): Promise<unknown> =>
  readingFrom('clog/x', () => Promise.reject(error)).catch((failure: unknown) => failure);

describe('an error while a path is read', () => {
  test('of the system becomes a local error', async () => {
    const failure = await failing(Object.assign(new Error('EIO'), { code: 'EIO' }));
    expect(failure).toBeInstanceOf(LocalFileError);
    expect(failure).toMatchObject({ facts: { path: 'clog/x' } });
  });

  test.each([CorruptionError, UnsupportedFormatError])('of a decoder is told with the path: %o', async (Kind) => {
    const cause: ReplicateError = new Kind('a bad frame', { hint: 'do this', facts: { byte: 7 } });
    const failure = await failing(cause);
    expect(failure).toBeInstanceOf(Kind);
    expect(failure).toMatchObject({
      message: 'clog/x: a bad frame',
      hint: 'do this',
      facts: { byte: 7, path: 'clog/x' },
      cause,
    });
  });

  test('that names its path already, or is another one, passes as it is', async () => {
    for (const error of [
      new CorruptionError('clog/y is bad', { facts: { path: 'clog/y' } }),
      new AssertionError('a bug'),
      new DOMException('stop', 'AbortError'),
      new TypeError('x'),
    ]) {
      expect(await failing(error)).toBe(error);
    }
  });
});
