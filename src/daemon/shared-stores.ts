/**
 * The stores of a process: destinations in one bucket share its connections, since a hundred clients of the SDK cost
 * more memory than all else. What a destination is told of its requests, and when it tries again, stays its own.
 */
import { openReplicaPlace, parseReplicaUrl, type ReplicaUrl } from '../replica/registry.ts';
import type { ReplicaClient } from '../replica/replica-client.ts';
import { prefixedClient } from '../replica/wrap/prefixed.ts';

export interface SharedStoresOptions {
  readonly requestTimeoutMs: number;
  /** Make the root directories of `file:` stores. */
  readonly create: boolean;
}

/**
 * The name of what answers or fails as a whole. All `file:` destinations are one: they are this machine's, and which
 * disk a path will lie on is not known before it is there.
 */
export function storeOf(url: string): string {
  const place = parseReplicaUrl(url);
  return place.scheme === 'file' ? 'file:' : `s3:${place.bucket}@${place.endpoint ?? place.region ?? ''}`;
}

export class SharedStores implements AsyncDisposable {
  readonly #options: SharedStoresOptions;
  readonly #clients = new Map<string, Promise<ReplicaClient>>();

  constructor(options: SharedStoresOptions) {
    this.#options = options;
  }

  /**
   * A client of the destination's root, without retries or counters. Closing it closes nothing of the others.
   *
   * @throws ConfigurationError
   */
  async open(url: string): Promise<ReplicaClient> {
    const place = parseReplicaUrl(url);
    if (place.scheme === 'file') return prefixedClient(await this.#share(url, place), '');
    const { prefix, ...bucket } = place;
    const client = await this.#share(JSON.stringify(bucket), { ...bucket, prefix: '' });
    return prefixedClient(client, prefix === '' ? '' : `${prefix}/`);
  }

  #share(name: string, place: ReplicaUrl): Promise<ReplicaClient> {
    let client = this.#clients.get(name);
    if (client === undefined) {
      client = openReplicaPlace(place, this.#options);
      this.#clients.set(name, client);
    }
    return client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const opened of await Promise.allSettled(this.#clients.values())) {
      if (opened.status === 'fulfilled') await opened.value.close();
    }
  }
}
