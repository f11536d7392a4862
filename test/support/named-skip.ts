/**
 * The only way in which a test is left out: by name and with its reason, which the last lines of a run repeat. Where
 * `requiredBy` names an environment variable that is set, the same test fails instead: a run that promises a server or
 * a tool must not become green without it.
 */
import { test } from 'vitest';

export interface Need {
  /** Why it cannot run here; null when it can. */
  readonly missing: string | null;
  readonly requiredBy?: string;
  /** So many more attempts after a failure, each of which the last lines of the run tell. Default 0. */
  readonly retry?: number;
}

type Body = () => Promise<void> | void;

/** A `test` that runs its body only where nothing is missing. */
export function testNeeding({
  missing,
  requiredBy,
  retry = 0,
}: Need): (name: string, body: Body, timeoutMs?: number) => void {
  const required = requiredBy !== undefined && (process.env[requiredBy] ?? '') !== '';
  return (name, body, timeoutMs) => {
    test(name, { retry, ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }) }, (context) => {
      if (missing === null) return body();
      if (required) throw new Error(`${requiredBy} is set, and yet this cannot run: ${missing}`);
      return context.skip(missing);
    });
  };
}
