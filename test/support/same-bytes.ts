/** What a store must see of a writer that tries again. */
import { expect } from 'vitest';
import type { TcpProxy } from './tcp-proxy.ts';

/**
 * Whatever arrived more than once under one name, head.json aside, was the same each time.
 *
 * @param proxy one that records
 * @returns how many arrived again
 */
export function requireSameBytesTwice(proxy: TcpProxy): number {
  const seen = new Map<string, Buffer>();
  let twice = 0;
  for (const { path, body } of proxy.puts()) {
    if (path.endsWith('/head.json')) continue;
    const before = seen.get(path);
    if (before !== undefined) {
      twice += 1;
      expect(body.equals(before), `${path} arrived twice, with other bytes`).toBe(true);
    }
    seen.set(path, body);
  }
  return twice;
}
