/** A store in memory and its check: for the tests of verify. */
import { ByteBudget } from '../../src/core/byte-budget.ts';
import { silentLog } from '../../src/core/log.ts';
import { MemoryReplicaClient } from '../../src/replica/memory/memory-replica-client.ts';
import type { ReplicaClient } from '../../src/replica/replica-client.ts';
import { prefixedClient } from '../../src/replica/wrap/prefixed.ts';
import type { Finding, FindingKind } from '../../src/verify/finding.ts';
import { WHOLE } from '../../src/verify/sample.ts';
import { type VerifiedStore, verifyStore, type VerifyStoreOptions } from '../../src/verify/verify-store.ts';

export class VerifyScene {
  readonly client: MemoryReplicaClient;

  constructor(client = new MemoryReplicaClient()) {
    this.client = client;
  }

  #run(options: Partial<VerifyStoreOptions>): Promise<VerifiedStore> {
    const budget = new ByteBudget(32 * 1024 * 1024);
    const fetch = { client: this.client, budget, parallelism: 4, signal: new AbortController().signal };
    const clientAt = (prefix: string): ReplicaClient => prefixedClient(this.client, prefix);
    return verifyStore({ fetch, clientAt, deep: null, log: silentLog, ...options });
  }

  quick(): Promise<VerifiedStore> {
    return this.#run({});
  }

  deep(options: Partial<VerifyStoreOptions> = {}): Promise<VerifiedStore> {
    return this.#run({ deep: WHOLE, ...options });
  }

  keys(part = ''): string[] {
    return this.client.store.keys().filter((key) => key.includes(part));
  }

  bytesOf(key: string): Uint8Array {
    return this.client.store.objects.get(key)?.bytes ?? new Uint8Array(0);
  }

  flip(key: string, index = Math.floor(this.bytesOf(key).byteLength / 2)): void {
    const bytes = Uint8Array.from(this.bytesOf(key));
    bytes[index] = (bytes[index] ?? 0) ^ 0x10;
    this.client.store.set(key, bytes);
  }

  async rename(from: string, to: string): Promise<void> {
    this.client.store.set(to, Uint8Array.from(this.bytesOf(from)));
    await this.client.delete([from]);
  }
}

export const damageOf = ({ findings }: VerifiedStore): readonly Finding[] =>
  findings.filter(({ severity }) => severity === 'damage');

export const ofKind = ({ findings }: VerifiedStore, kind: FindingKind): readonly Finding[] =>
  findings.filter((finding) => finding.kind === kind);
