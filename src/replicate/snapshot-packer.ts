/** Puts snapshot objects that are not yet stored into packs of about 32 MiB, in order, two packs at once at most. */
import type { BudgetShare, ByteBudget } from '../core/byte-budget.ts';
import { packKey } from '../layout/keys.ts';
import type { PackPlace } from '../layout/manifest.ts';
import { type ObjectPlace, PACK_BYTES_TARGET, PackBuilder } from '../layout/pack.ts';
import type { ReplicaClient } from '../replica/replica-client.ts';

/** Objects that are being compressed beside the finished part of a pack. */
const PACK_OVERHEAD_BYTES = 2 * 1024 * 1024;

export interface PackedPart {
  readonly pack: string;
  /** Of the whole pack. */
  readonly packBytes: number;
  readonly objects: readonly { readonly hash: string; readonly place: PackPlace }[];
}

export interface PackerOptions {
  readonly client: ReplicaClient;
  readonly budget: ByteBudget;
  readonly compressionLevel: number;
  /** To be awaited before each write. */
  readonly ensureLease: () => Promise<void>;
  /** Told of each pack once it is stored. */
  readonly onPack: (part: PackedPart) => void;
  readonly signal: AbortSignal;
}

interface OpenPack {
  readonly builder: PackBuilder;
  readonly share: BudgetShare;
  readonly places: { readonly hash: string; readonly place: Promise<ObjectPlace> }[];
}

export class SnapshotPacker {
  readonly #options: PackerOptions;
  #open: OpenPack | null = null;
  #putting: Promise<void> = Promise.resolve();

  constructor(options: PackerOptions) {
    this.#options = options;
  }

  /** Adds an object; resolves when the next one may come, not when it is stored. */
  async add(hash: string, plain: Uint8Array): Promise<void> {
    const open = this.#open ?? (await this.#begin());
    const place = open.builder.add(plain);
    // A failure is thrown where the place is awaited; the pack is never put then.
    place.catch(() => undefined);
    open.places.push({ hash, place });
    await open.places.at(-3)?.place;
    if (open.builder.isFull) await this.#finish();
  }

  /** Resolves when all packs are stored. */
  async end(): Promise<void> {
    await this.#finish();
    await this.#putting;
  }

  async #begin(): Promise<OpenPack> {
    const { budget, compressionLevel, signal } = this.#options;
    const share = await budget.take(PACK_BYTES_TARGET + PACK_OVERHEAD_BYTES, { signal });
    // A budget that is smaller than a pack gives all of itself: then packs are as small as that.
    const bytesTarget = Math.min(PACK_BYTES_TARGET, Math.max(PACK_OVERHEAD_BYTES, share.bytes - PACK_OVERHEAD_BYTES));
    this.#open = { builder: new PackBuilder({ level: compressionLevel, bytesTarget }), share, places: [] };
    return this.#open;
  }

  async #finish(): Promise<void> {
    const open = this.#open;
    if (open === null) return;
    // One pack is put while the next is made: never more. Where that fails this one is still ours to abandon.
    await this.#putting;
    this.#open = null;
    this.#putting = this.#put(open);
    this.#putting.catch(() => undefined);
  }

  async #put({ builder, share, places }: OpenPack): Promise<void> {
    using _ = share;
    const { client, ensureLease, onPack, signal } = this.#options;
    const pack = await builder.finish();
    share.shrinkTo(pack.bytes);
    await ensureLease();
    await client.put(packKey(pack.hash), pack.parts, { signal });
    const objects = await Promise.all(
      places.map(async ({ hash, place }) => ({ hash, place: { pack: pack.hash, ...(await place) } })),
    );
    onPack({ pack: pack.hash, packBytes: pack.bytes, objects });
  }

  /** Gives back the memory of what was not put. To be called when packing is given up, too. */
  async abandon(): Promise<void> {
    this.#open?.share[Symbol.dispose]();
    this.#open = null;
    await this.#putting.catch(() => undefined);
  }
}
