/**
 * What must hold whatever happens. Watches every object that is written and everything that a writer says is stored, and
 * compares what can be restored with what really happened.
 */
import { ReplicateError } from '../../src/core/errors.ts';
import { decodeGenerationDocument, type GenerationDocument } from '../../src/layout/generation-document.ts';
import { decodeHeadDocument, type HeadDocument } from '../../src/layout/head-document.ts';
import { type GenerationName, HEAD_KEY, parseKey } from '../../src/layout/keys.ts';
import { type Commit, type History, leadsTo } from './history.ts';
import type { RestorePlace, Restored } from './restored.ts';
import type { SimProcess } from './sim-process.ts';
import type { Bucket } from './sim-store.ts';
import { demand, Violation } from './violation.ts';

export interface OracleOptions {
  readonly bucket: Bucket;
  readonly history: History;
  readonly place: RestorePlace;
  readonly owner: string;
}

export class Oracle {
  readonly #options: OracleOptions;
  readonly #written = new Map<string, Buffer>();
  /** What an unfenced writer of a generation said is stored. */
  readonly acknowledged = new Map<string, Commit>();
  readonly generations = new Map<GenerationName, GenerationDocument>();
  head: HeadDocument | null = null;
  restores = 0;

  constructor(options: OracleOptions) {
    this.#options = options;
    options.bucket.onPut = (key, bytes) => this.#onPut(key, Buffer.from(bytes));
  }

  #onPut(key: string, bytes: Buffer): void {
    const parsed = parseKey(key);
    demand(parsed !== null, () => `an object of an unknown name was written: ${key}`);
    if (key === HEAD_KEY) {
      this.head = decodeHeadDocument(bytes);
      demand(this.head.owner === this.#options.owner, () => `owner ${this.head?.owner} took the head`);
      return;
    }
    const before = this.#written.get(key);
    demand(before === undefined || before.equals(bytes), () => `${key} was written twice with different bytes`);
    this.#written.set(key, bytes);
    if (parsed.kind === 'generation') this.generations.set(parsed.generation, decodeGenerationDocument(bytes, { key }));
  }

  /** What a process says now. */
  listen(process: SimProcess): void {
    const said = process.stored();
    if (said === null) return;
    const { generation, position } = said;
    const commit = this.#options.history.find(position);
    demand(commit !== undefined, () => `${process.mailbox.name} stored ${position.tx}, which no server wrote`);
    if (this.head?.generation !== generation || this.head.session !== process.session) return;
    const before = this.acknowledged.get(generation) ?? null;
    if (before === commit) return;
    demand(
      leadsTo(before, commit),
      () => `${generation}: the stored position went from ${before?.last} to ${commit.last}`,
    );
    this.acknowledged.set(generation, commit);
  }

  /** The line that a restore takes by itself holds all that was acknowledged in its newest generation. */
  async check(): Promise<Restored | null> {
    const head = this.head?.generation;
    const restored = await this.#restore(head);
    if (restored === null) return null;
    const acknowledged = (head && this.acknowledged.get(head)) ?? null;
    demand(
      leadsTo(acknowledged, restored.end),
      () => `a restore ends at ${restored.end.last}, but ${acknowledged?.last} was acknowledged in ${head}`,
    );
    return restored;
  }

  /** Every generation by itself holds what was acknowledged in it. */
  async checkGenerations(): Promise<void> {
    for (const [generation, acknowledged] of this.acknowledged) {
      const restored = await this.#restore(generation, { generation });
      if (restored === null) continue;
      demand(
        leadsTo(acknowledged, restored.end),
        () => `a restore of ${generation} ends at ${restored.end.last}, but ${acknowledged.last} was acknowledged`,
      );
    }
  }

  /** Null where nothing can be restored, and that is right. */
  async #restore(of: string | undefined, options: { generation?: string } = {}): Promise<Restored | null> {
    const { place, bucket, history } = this.#options;
    this.restores += 1;
    try {
      return await place.restore(bucket, history, options);
    } catch (error) {
      if (!(error instanceof ReplicateError)) throw error;
      if (error.code === 'NO_BACKUP' || error.code === 'UNRECOVERABLE_POINT') {
        if (this.#hasNoBase(of)) return null;
      }
      throw new Violation(`a restore of ${options.generation ?? 'the head'} failed: ${error.code} ${error.message}`);
    }
  }

  /** Whether nothing was acknowledged in the line of a generation, or it begins above 0 and has no snapshot yet. */
  #hasNoBase(generation: string | undefined): boolean {
    let acknowledged = false;
    let hasSnapshot = false;
    let name = generation as GenerationName | undefined;
    while (name !== undefined) {
      acknowledged ||= this.acknowledged.has(name);
      for (const key of this.#written.keys()) hasSnapshot ||= key.startsWith(`generations/${name}/snapshots/`);
      const document = this.generations.get(name);
      if (document?.parent == null) break;
      name = document.parent.generation;
    }
    if (!acknowledged) return true;
    const reason = name === undefined ? undefined : this.generations.get(name)?.reason;
    return !hasSnapshot && this.startsAboveZero(name) && reason !== undefined;
  }

  startsAboveZero(name: GenerationName | undefined): boolean {
    for (const key of this.#written.keys()) {
      const parsed = parseKey(key);
      if (parsed?.kind === 'log' && parsed.name.generation === name && parsed.name.first === 0n) return false;
    }
    return true;
  }
}
