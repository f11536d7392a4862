/**
 * What a bad line and a busy store do to one request in some: by dice, and so mildly that all comes through in the end.
 * Responsible for: which request meets with what. Not responsible for: doing it.
 */
import type { Random } from '../sim/random.ts';

export type RequestFate =
  | { readonly kind: 'pass' }
  /** It arrives later. */
  | { readonly kind: 'late'; readonly ms: number }
  /** A reset before the server has any of it. */
  | { readonly kind: 'lost' }
  /** A reset when the server has half of it. */
  | { readonly kind: 'half-sent' }
  /** The server does what it was asked for; a reset comes in the place of its answer. */
  | { readonly kind: 'answer-lost' }
  /** 503 in the place of the server's answer, which never hears of it. */
  | { readonly kind: 'busy' };

const LATE_MS_MAX = 60;

/** Of a hundred requests, in this order. */
const SHARES = { late: 16, lost: 2, halfSent: 2, answerLost: 4, busy: 2 } as const;

export function mildFaults(random: Random): () => RequestFate {
  return () =>
    random.weighted<RequestFate>([
      [100 - Object.values(SHARES).reduce((sum, share) => sum + share, 0), { kind: 'pass' }],
      [SHARES.late, { kind: 'late', ms: random.int(1, LATE_MS_MAX) }],
      [SHARES.lost, { kind: 'lost' }],
      [SHARES.halfSent, { kind: 'half-sent' }],
      [SHARES.answerLost, { kind: 'answer-lost' }],
      [SHARES.busy, { kind: 'busy' }],
    ]);
}
