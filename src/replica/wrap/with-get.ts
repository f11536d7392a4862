import type { ReplicaClient } from '../replica-client.ts';

/** The same client, all but its `get`. Closing either closes it. */
export function withGet(client: ReplicaClient, get: ReplicaClient['get']): ReplicaClient {
  return {
    url: client.url,
    conditional: client.conditional,
    put: (key, body, options) => client.put(key, body, options),
    get,
    head: (key, options) => client.head(key, options),
    list: (prefix, options) => client.list(prefix, options),
    delete: (keys, options) => client.delete(keys, options),
    close: () => client.close(),
    [Symbol.asyncDispose]: () => client.close(),
  };
}
