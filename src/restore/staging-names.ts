/** Names of staging directories. Whoever looks at a target knows an unfinished restore by them. */
import { randomBytes } from 'node:crypto';

/** Of a fresh file system that is mounted at the target: no content. */
export const LOST_AND_FOUND = 'lost+found';

const INSIDE = '.stdb-restore-';

const ID = /^[0-9a-f]{12}$/;

const besidePrefix = (targetName: string): string => `.${targetName}${INSIDE}`;

/** Whole, since it is removed: in the target's parent lie other things than the target's. */
export const isStagingBeside = (name: string, targetName: string): boolean =>
  name.startsWith(besidePrefix(targetName)) && ID.test(name.slice(besidePrefix(targetName).length));

/** A new name within the target's parent. */
export const newStagingBeside = (targetName: string): string => `${besidePrefix(targetName)}${newId()}`;

/** A new name within the target. */
export const newStagingInside = (): string => `${INSIDE}${newId()}`;

export const isStagingInside = (name: string): boolean => name.startsWith(INSIDE);

const newId = (): string => randomBytes(6).toString('hex');
