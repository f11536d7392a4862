/** Whole HTTP requests in what a connection brought, for those who look at bytes on their way. */

export interface SentObject {
  /** The path of the request, without its query. */
  readonly path: string;
  readonly body: Buffer;
}

/** The end of the request that begins at `at`; null where it is not whole. */
export function requestEnd(bytes: Buffer, at = 0): number | null {
  const head = bytes.indexOf('\r\n\r\n', at);
  if (head < 0) return null;
  const text = bytes.subarray(at, head).toString('latin1');
  const end = head + 4 + Number(/^content-length: *(\d+)/im.exec(text)?.[1] ?? 0);
  return end <= bytes.byteLength ? end : null;
}

/** Whole PUT requests in what one connection brought. */
export function putsIn(bytes: Buffer): SentObject[] {
  const puts: SentObject[] = [];
  for (let at = 0; ; ) {
    const end = requestEnd(bytes, at);
    if (end === null) return puts;
    const head = bytes.indexOf('\r\n\r\n', at);
    const path = /^PUT ([^ ?]+)/.exec(bytes.subarray(at, head).toString('latin1'))?.[1];
    if (path !== undefined) puts.push({ path, body: bytes.subarray(head + 4, end) });
    at = end;
  }
}
