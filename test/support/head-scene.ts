/** One head.json in a store in memory, and leases of it. */
import { type Crc32c, micros, type TxOffset } from '../../src/core/types.ts';
import type { Log } from '../../src/core/log.ts';
import { decodeHeadDocument, encodeHeadDocument, type HeadDocument } from '../../src/layout/head-document.ts';
import { type GenerationName, makeGenerationName } from '../../src/layout/keys.ts';
import { MemoryReplicaClient } from '../../src/replica/memory/memory-replica-client.ts';
import { type ObjectVersion, readBody, type ReplicaClient } from '../../src/replica/replica-client.ts';
import { HeadLease } from '../../src/replicate/head-lease.ts';
import type { LeaseMode } from '../../src/replicate/lease-mode.ts';
import { VirtualClock } from './virtual-clock.ts';

export const POSITION = {
  tx: 41n as TxOffset,
  crc: 0x1234_5678 as Crc32c,
  segment: 0n as TxOffset,
  time: micros(1_000_000n),
};

interface TakeChange {
  readonly mode?: LeaseMode;
  readonly replaces?: ObjectVersion | null;
  readonly change?: Partial<HeadDocument>;
}

export class HeadScene {
  readonly client: ReplicaClient;
  readonly clock: VirtualClock;
  readonly #said: { readonly level: string; readonly message: string }[] = [];
  readonly log: Log;

  constructor(client: ReplicaClient = new MemoryReplicaClient(), clock = new VirtualClock()) {
    this.client = client;
    this.clock = clock;
    const at = (level: string) => (message: string) => void this.#said.push({ level, message });
    this.log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), child: () => this.log };
  }

  /** The client itself, where it is one in memory. */
  get memory(): MemoryReplicaClient {
    if (!(this.client instanceof MemoryReplicaClient)) throw new Error('this scene has a client of another kind');
    return this.client;
  }

  said(level: string): string[] {
    return this.#said.flatMap((line) => (line.level === level ? [line.message] : []));
  }

  generationNamed(number: number): GenerationName {
    return makeGenerationName(number, '0a1b2c3d');
  }

  document(change: Partial<HeadDocument> = {}): HeadDocument {
    return {
      generation: this.generationNamed(1),
      owner: 'game-0',
      session: 'a',
      process: { machineId: 'm', bootId: 'b', pidNamespace: '1', pid: 7, startTime: '9', host: 'here' },
      acquiredAt: this.clock.now(),
      renewedAt: this.clock.now(),
      ttlMs: 60_000,
      position: null,
      released: false,
      ...change,
    };
  }

  take({ mode, replaces = null, change = {} }: TakeChange = {}): Promise<HeadLease> {
    const { client, clock, log } = this;
    return HeadLease.take({ client, clock, log }, this.document(change), { replaces, mode });
  }

  async head(): Promise<HeadDocument> {
    return decodeHeadDocument(await readBody(await this.client.get('head.json'), 65_536));
  }

  /** As another writer does who asks nobody. */
  async overwrite(change: Partial<HeadDocument>): Promise<ObjectVersion> {
    const document = { ...(await this.head()), ...change };
    return (await this.client.put('head.json', encodeHeadDocument(document))).version;
  }
}
