/** Public: for authors of other stores' clients, and for tests of what uses them. Imports no test runner. */
export { type ReplicaClientContract, replicaClientContract } from '../replica/contract/replica-client-contract.ts';
export { MemoryReplicaClient, type MemoryReplicaClientOptions } from '../replica/memory/memory-replica-client.ts';
export { type MemoryObject, MemoryStore } from '../replica/memory/memory-store.ts';
export { type Fault, type FaultKind, FaultyReplicaClient, type FaultyOptions } from '../replica/wrap/faulty.ts';
