/** Invariant: a program's path comes back as it was made; a name that is being written, or is no program's, is none. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatProgramPath, isProgramDirName, parseProgramName } from './server-files.ts';

const hash = fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 64, maxLength: 64 });

test('path and name', () => {
  fc.assert(
    fc.property(hash, (name) => {
      const [top, directory = '', file = ''] = formatProgramPath(name).split('/');
      expect(top).toBe('program-bytes');
      expect(isProgramDirName(directory)).toBe(true);
      expect(parseProgramName(directory, file)).toBe(name);
      expect(parseProgramName(directory, `${file}.tmp123456789`)).toBeNull();
      expect(parseProgramName(directory, file.slice(1))).toBeNull();
    }),
  );
  expect(['..', 'AB', 'abc', 'a', ''].some(isProgramDirName)).toBe(false);
  expect(() => formatProgramPath('../../etc/passwd')).toThrow('program');
});
