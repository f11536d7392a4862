/**
 * Which image a server's data directory is rebuilt from. Pure: it asks for what it must know, one thing at a time.
 *
 * Invariants: without `partial` every database that the chosen image lists can be restored; no image is passed over for
 * anything but a database that has no recovery point, or its own damage; a damaged database never is a reason to go back.
 */
import type { ListedImage } from './read-server-store.ts';

/** What is known of one database's backup. */
export type ReplicaState =
  | { readonly kind: 'ready' }
  /** Nothing of it can be restored, and nothing is damaged: it had not been stored yet. */
  | { readonly kind: 'missing'; readonly error: Error }
  | { readonly kind: 'damaged'; readonly error: Error };

export type ImageState = { readonly replicas: readonly bigint[] } | { readonly unusable: Error };

export interface ChooseImageInput {
  /** Newest first. */
  readonly images: readonly ListedImage[];
  /** By the manifest's key. */
  readonly known: ReadonlyMap<string, ImageState>;
  readonly replicas: ReadonlyMap<bigint, ReplicaState>;
  readonly partial: boolean;
}

export interface PassedOver {
  readonly image: ListedImage;
  readonly missing: readonly bigint[];
}

export type ImageChoice =
  | { readonly kind: 'need-image'; readonly image: ListedImage }
  | { readonly kind: 'need-replica'; readonly replicaId: bigint }
  | {
      readonly kind: 'chosen';
      readonly image: ListedImage;
      /** Of its databases, those that cannot be restored; none without `partial`. */
      readonly missing: readonly bigint[];
      /** Newer images that list databases without a recovery point. */
      readonly passedOver: readonly PassedOver[];
    }
  /** Every image lists a database that cannot be restored, or is damaged itself. */
  | { readonly kind: 'none'; readonly passedOver: readonly PassedOver[] }
  | { readonly kind: 'damaged'; readonly image: ListedImage; readonly replicaId: bigint; readonly error: Error };

export function chooseImage({ images, known, replicas, partial }: ChooseImageInput): ImageChoice {
  const passedOver: PassedOver[] = [];
  for (const image of images) {
    const state = known.get(image.key);
    if (state === undefined) return { kind: 'need-image', image };
    if ('unusable' in state) continue;
    const unknown = state.replicas.find((replicaId) => !replicas.has(replicaId));
    if (unknown !== undefined) return { kind: 'need-replica', replicaId: unknown };
    const missing = state.replicas.filter((replicaId) => replicas.get(replicaId)?.kind !== 'ready');
    if (missing.length === 0) return { kind: 'chosen', image, missing, passedOver };
    for (const replicaId of missing) {
      const found = replicas.get(replicaId);
      if (found?.kind !== 'damaged') continue;
      if (partial) return { kind: 'chosen', image, missing, passedOver };
      return { kind: 'damaged', image, replicaId, error: found.error };
    }
    passedOver.push({ image, missing });
  }
  const [newest] = passedOver;
  if (!partial || newest === undefined) return { kind: 'none', passedOver };
  return { kind: 'chosen', ...newest, passedOver: [] };
}
