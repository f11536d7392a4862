/**
 * One suite for every store: each line of the contract in `replica-client.ts`, checked against a real one. Exported to
 * authors of other clients; it imports no test runner. Keys resemble ours: no key is the directory of another, because
 * some stores keep objects as paths.
 */
import type { ReplicaClient } from '../replica-client.ts';
import { checkConditions } from './conditional-checks.ts';
import type { Check, ReplicaClientContract } from './contract-check.ts';
import { checkLifetime, checkMissingStore } from './lifetime-checks.ts';
import { checkDeletes, checkLists } from './list-delete-checks.ts';
import { checkPutAndGet, checkRanges } from './put-get-checks.ts';

export type { ReplicaClientContract } from './contract-check.ts';

const DEFAULT_LARGE_BYTES = 8 * 1024 * 1024;

/** Registers every check with the runner's `test`. */
export function replicaClientContract(contract: ReplicaClientContract): void {
  const { open, openMissing, largeBytes = DEFAULT_LARGE_BYTES } = contract;
  const check = checkWith(contract, open);
  checkPutAndGet(check, { largeBytes });
  checkRanges(check);
  checkConditions(check);
  checkLists(check);
  checkDeletes(check);
  checkLifetime(check);
  if (openMissing) checkMissingStore(checkWith(contract, openMissing));
}

const checkWith =
  ({ test }: ReplicaClientContract, open: () => Promise<ReplicaClient>): Check =>
  (name, run) =>
    test(name, async () => {
      await using client = await open();
      await run(client);
    });
