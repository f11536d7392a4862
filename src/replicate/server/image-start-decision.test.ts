/** Invariant: every combination of facts has the one answer that the rules of the head give. */
import { expect, test } from 'vitest';
import { decideImageStart, type ImageHeadState, type ImageStartDecision } from './image-start-decision.ts';

/** Without and with `takeover`. */
const EXPECTED: Record<ImageHeadState, readonly [ImageStartDecision, ImageStartDecision]> = {
  empty: ['first', 'first'],
  headless: ['takeover', 'takeover'],
  'headless-other-owner': ['refuse', 'takeover'],
  released: ['continue', 'continue'],
  dead: ['takeover', 'takeover'],
  unproven: ['wait', 'wait'],
  'other-owner': ['refuse', 'takeover'],
};

test.each(Object.entries(EXPECTED) as [ImageHeadState, (typeof EXPECTED)['empty']][])(
  '%s',
  (head, [plain, takeover]) => {
    expect(decideImageStart({ head, takeover: false, conditional: true })).toBe(plain);
    expect(decideImageStart({ head, takeover: true, conditional: true })).toBe(takeover);
    // Without conditional writes nobody goes on in another's generation.
    const without = (decision: ImageStartDecision): ImageStartDecision =>
      decision === 'continue' ? 'takeover' : decision;
    expect(decideImageStart({ head, takeover: false, conditional: false })).toBe(without(plain));
    expect(decideImageStart({ head, takeover: true, conditional: false })).toBe(without(takeover));
  },
);
