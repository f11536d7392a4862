/**
 * Memory outside of the runtime's heap that is freed as soon as it is not needed any more. Waiting for the garbage
 * collector costs twice: it does not feel the weight of buffers before there are tens of megabytes of them, and then it
 * goes through the whole heap because of them. A restore of 1 GB did so 57 times, for a quarter of its CPU.
 */

/**
 * Frees the memory of `bytes`, all of the buffer that they lie in. Only for memory that nobody else uses, a thread of the
 * pool included; every view of it is empty afterwards.
 */
export function giveBack({ buffer }: Uint8Array): void {
  // Memory of that size or less may be the runtime's pool, which several buffers share.
  if (buffer instanceof ArrayBuffer && buffer.byteLength > Buffer.poolSize) buffer.transfer(0);
}

/** The same for a chunk of a body whose chunks are given away: only where nothing else can lie in its buffer. */
export function giveBackChunk({ buffer, byteLength }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && byteLength > 0 && byteLength === buffer.byteLength) buffer.transfer(0);
}
