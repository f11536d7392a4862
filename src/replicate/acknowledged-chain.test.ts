// Invariant: the stored end is the end of the longest acknowledged prefix, whatever the order of acknowledgements.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AcknowledgedChain } from './acknowledged-chain.ts';

test('no hole is ever reported as stored', () => {
  fc.assert(
    fc.property(fc.shuffledSubarray([1, 2, 3, 4, 5, 6, 7, 8]), (order) => {
      const chain = new AcknowledgedChain(0);
      const pending = [1, 2, 3, 4, 5, 6, 7, 8].map((end) => chain.begin(end));
      const acknowledged = new Set<number>();
      for (const end of order) {
        pending[end - 1]?.acknowledge();
        acknowledged.add(end);
        let prefix = 0;
        while (acknowledged.has(prefix + 1)) prefix += 1;
        expect(chain.stored).toBe(prefix);
        expect(chain.inFlight).toBe(8 - prefix);
      }
    }),
  );
});
