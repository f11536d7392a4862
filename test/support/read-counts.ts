/** What a reader asks of a store: requests for bytes, and how many bytes came. */
import type { ReplicaClient } from '../../src/replica/replica-client.ts';

export interface ReadCounts {
  gets: number;
  bytes: number;
}

/** The same store; `counts` grows with every `get`. */
export function countingReads(client: ReplicaClient): { readonly client: ReplicaClient; readonly counts: ReadCounts } {
  const counts: ReadCounts = { gets: 0, bytes: 0 };
  const counting: ReplicaClient = {
    url: client.url,
    conditional: client.conditional,
    put: (key, body, options) => client.put(key, body, options),
    get: async (key, options) => {
      counts.gets += 1;
      const stored = await client.get(key, options);
      return { ...stored, body: counted(stored.body, counts) };
    },
    head: (key, options) => client.head(key, options),
    list: (prefix, options) => client.list(prefix, options),
    delete: (keys, options) => client.delete(keys, options),
    close: () => client.close(),
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
  return { client: counting, counts };
}

async function* counted(body: AsyncIterable<Uint8Array>, counts: ReadCounts): AsyncGenerator<Uint8Array, void, void> {
  for await (const chunk of body) {
    counts.bytes += chunk.byteLength;
    yield chunk;
  }
}
