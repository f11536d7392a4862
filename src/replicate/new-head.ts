/** The head.json of a writer that takes a generation. */
import type { Clock } from '../core/clock.ts';
import type { HeadDocument } from '../layout/head-document.ts';
import type { Writer } from './writer.ts';

export interface NewHeadOptions {
  readonly writer: Writer;
  readonly leaseTtlMs: number;
  readonly clock: Clock;
}

export function newHead(
  { generation, position }: Pick<HeadDocument, 'generation' | 'position'>,
  { writer, leaseTtlMs, clock }: NewHeadOptions,
): HeadDocument {
  const now = clock.now();
  const { owner, session, process } = writer;
  const held = { owner, session, process, acquiredAt: now, renewedAt: now, ttlMs: leaseTtlMs };
  return { generation, ...held, position, released: false };
}
