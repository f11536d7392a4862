/** Why a head is not taken, for databases and for images alike. */
import { ConfigurationError } from '../core/errors.ts';
import type { GenerationDocument } from '../layout/generation-document.ts';
import { type ReplicaClient, UnsupportedByStoreError } from '../replica/replica-client.ts';
import type { StoredHead } from './head-lease-read.ts';
import { leaseHeld } from './lease-wait.ts';

/** For a backup that is another owner's. */
export function ownerError(
  { head, generation }: { readonly head: StoredHead | null; readonly generation: GenerationDocument | null },
  client: ReplicaClient,
): Error {
  if (head !== null) return leaseHeld(client, head);
  const owner = generation?.writer.owner ?? 'unknown';
  return new ConfigurationError(`the backup ${client.url} belongs to owner ${owner}, and its head.json is missing`, {
    hint: `Set "owner: ${owner}" if this machine is to continue it, or replicate to another prefix.`,
    facts: { url: client.url, owner },
  });
}

/** For a head that is refused twice in the place of one and the same version. */
export const conditionsBroken = (client: ReplicaClient, cause: Error): UnsupportedByStoreError =>
  new UnsupportedByStoreError(`${client.url} refuses to write head.json although nobody has changed it`, {
    cause,
    hint: 'This store does not do conditional writes as it should: use another one, or a newer release of it.',
    facts: { url: client.url },
  });
