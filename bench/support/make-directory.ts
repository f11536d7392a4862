/** A new, empty directory below the scratch directory. */
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';

export const makeDirectory = (scratch: string, name: string): Promise<string> => mkdtemp(join(scratch, `${name}-`));
