/** Names of staging directories. Whoever looks at a target knows an unfinished restore by them. */
import { randomBytes } from 'node:crypto';

/** Of a fresh file system that is mounted at the target: no content. */
export const LOST_AND_FOUND = 'lost+found';

const INSIDE = '.stdb-restore-';

export const stagingBesidePrefix = (targetName: string): string => `.${targetName}${INSIDE}`;

/** A new name within the target's parent. */
export const newStagingBeside = (targetName: string): string => `${stagingBesidePrefix(targetName)}${newId()}`;

/** A new name within the target. */
export const newStagingInside = (): string => `${INSIDE}${newId()}`;

export const isStagingInside = (name: string): boolean => name.startsWith(INSIDE);

const newId = (): string => randomBytes(6).toString('hex');
