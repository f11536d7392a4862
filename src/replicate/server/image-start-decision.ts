/** What a writer of images does with the head that it finds: the design's rules as data. Pure. */

/**
 * `empty`: nothing is stored. `headless`: generations without a head. `dead`: held by our owner, whose process is proven
 * dead, or whose lease has run out. `unproven`: held by our owner, by a process that may live.
 */
export type ImageHeadState =
  | 'empty'
  | 'headless'
  | 'headless-other-owner'
  | 'released'
  | 'dead'
  | 'unproven'
  | 'other-owner';

export interface ImageStartFacts {
  readonly head: ImageHeadState;
  /** Whether another owner's head may be taken. */
  readonly takeover: boolean;
  /** Whether the client has conditional writes; without them nobody may continue another's generation. */
  readonly conditional: boolean;
}

/** `first` and `takeover` begin a new generation. */
export type ImageStartDecision = 'first' | 'takeover' | 'continue' | 'wait' | 'refuse';

export function decideImageStart({ head, takeover, conditional }: ImageStartFacts): ImageStartDecision {
  switch (head) {
    case 'empty':
      return 'first';
    case 'released':
      return conditional ? 'continue' : 'takeover';
    case 'unproven':
      return 'wait';
    case 'headless':
    case 'dead':
      return 'takeover';
    case 'other-owner':
    case 'headless-other-owner':
      return takeover ? 'takeover' : 'refuse';
  }
}
