/** What a failed system call below a `file:` store's root means in the contract's words. */
import { ConfigurationError, LocalFileError, localFileError, systemCode } from '../../core/errors.ts';
import { UnauthorizedError, UnavailableError, UnsupportedByStoreError } from '../replica-client.ts';

/** A disk without room: exit 1 for a command, but a daemon goes on trying, since somebody may free space. */
export class StoreFullError extends LocalFileError {
  override shouldRetry(): boolean {
    return true;
  }
}

/** EROFS too: a disk that was mounted anew after an error of its own may be mended, as a permission may be given. */
const REFUSED = new Set(['EACCES', 'EPERM', 'EROFS']);
const FULL = new Set(['ENOSPC', 'EDQUOT']);
const PASSING = new Set([
  'EIO',
  'ESTALE',
  'ETIMEDOUT',
  'EMFILE',
  'ENFILE',
  'EBUSY',
  'ENOTCONN',
  'EHOSTDOWN',
  'EAGAIN',
  'ENOMEM',
]);

/** Errors that are already in the contract's words, aborts and bugs pass unchanged. */
export function fileStoreError(action: string, path: string, cause: unknown): unknown {
  const code = systemCode(cause);
  if (code === null || !(cause instanceof Error) || !('syscall' in cause)) return cause;
  const local = localFileError(action, path, cause);
  const details = { cause, facts: local.facts, ...(local.hint === undefined ? {} : { hint: local.hint }) };
  if (REFUSED.has(code)) return new UnauthorizedError(local.message, details);
  if (FULL.has(code)) return new StoreFullError(local.message, details);
  if (PASSING.has(code)) return new UnavailableError(local.message, details);
  if (code === 'ENOTDIR' || code === 'EISDIR') {
    return new UnsupportedByStoreError(`${local.message}: one key is the directory of another`, details);
  }
  return local;
}

/** A link below the root could lead anywhere: nothing is read or written through one. */
export const linkRefused = (path: string): ConfigurationError =>
  new ConfigurationError(`${path} is, or lies behind, a symbolic link: refused`, {
    hint: 'A backup directory holds plain files and directories only. Let the URL name the real directory.',
    facts: { path },
  });

export const shrank = (path: string, expected: number): UnavailableError =>
  new UnavailableError(`${path} became shorter while it was read: ${expected} bytes were expected`, {
    facts: { path },
  });
