/** Flags of the commands that read much of a store, the same in each. */
import { Option } from 'commander';

export const giveUpAfterFlag = (): Option =>
  new Option(
    '--give-up-after <DURATION>',
    'Give up after so long without an answer of the store. Default: 30s.',
  ).default('30s');

export const progressFlag = (): Option =>
  new Option(
    '--progress <auto|plain|json|none>',
    'Progress on stderr; auto is a bar on a terminal, a line now and then elsewhere.',
  ).default('auto');
