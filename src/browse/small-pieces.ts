/**
 * Plain bytes in pieces of which only a few hundred commits are made at once.
 *
 * Whoever shows commits holds those of one piece while they are written out. Of a whole frame that is a thousand objects
 * with their strings: more than survives a young collection unnoticed, so that the runtime makes its young generation as
 * large as it may, and the process with it.
 */
const PIECE_BYTES = 16 * 1024;

export function* smallPieces(bytes: Uint8Array): Generator<Uint8Array, void, void> {
  for (let at = 0; at < bytes.byteLength; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
}
