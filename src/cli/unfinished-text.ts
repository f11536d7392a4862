/** What a restore says of its work when it ends before its time. */
import type { UnfinishedRestore } from '../restore/unfinished.ts';
import { humanBytes } from './units.ts';

/** For a shell: within single quotes only they themselves mean anything. */
const quoted = (path: string): string => `'${path.replaceAll("'", String.raw`'\''`)}'`;

/** Whole lines. */
export const formatUnfinished = ({ path, bytes }: UnfinishedRestore): string =>
  `kept: ${humanBytes(bytes)} that were restored so far, in ${path}\n` +
  `  to go on: the same command again; what is there is proven anew and not fetched again\n` +
  `  to remove it instead: rm -r ${quoted(path)}\n`;
