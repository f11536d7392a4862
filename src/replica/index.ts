/** Public: the contract of a store, its errors, the stores that this package brings, and the wrappers over any. */
export * from './replica-client.ts';
export { type OpenReplicaOptions, openReplicaClient, parseReplicaUrl, type ReplicaUrl, redactUrl } from './registry.ts';
export { boundedClient } from './wrap/bounded.ts';
export { type MeteredClient, meteredClient } from './wrap/metered.ts';
export { type ResumableGetOptions, resumableGet } from './wrap/resumable-get.ts';
export { type RetryOptions, retryingClient } from './wrap/retrying.ts';
