/**
 * One zstd frame of ours of any length, decoded as its bytes come: what it holds is never in memory at once, only a window
 * of it. As strict as `decodeFrame`; libzstd itself proves the checksum.
 */
import * as zlib from 'node:zlib';
import { CorruptionError } from '../core/errors.ts';
import { checkHeader, decodingError } from './frame.ts';
import { BLOCK_PLAIN_BYTES_MAX, decodeFrameHeader, FRAME_HEADER_BYTES_MAX, type FrameHeader } from './frame-header.ts';

const BLOCK_HEADER_BYTES = 3;
const CHECKSUM_BYTES = 4;
/** 1 GiB: whoever uses this bounds the window by `onHeader`. */
const WINDOW_LOG_MAX = 30;

export interface StreamedFrameOptions {
  /** A frame that declares more is refused. */
  readonly plainBytesMax: number;
  /** Called before any memory is taken for the frame's window; may throw. */
  readonly onHeader: (header: FrameHeader) => void;
  /** Plain bytes, in order; valid during the call. */
  readonly onPlain: (bytes: Uint8Array) => void;
}

export class StreamedFrame implements Disposable {
  readonly #options: StreamedFrameOptions;
  readonly #layout = new FrameLayout();
  #decoder: zlib.ZstdDecompress | null = null;
  #failure: Error | null = null;
  #plainBytes = 0;
  /** Ends the wait for a write: a decoder that fails may never call back, but it closes. */
  #wake: () => void = () => undefined;

  constructor(options: StreamedFrameOptions) {
    this.#options = options;
  }

  /**
   * The next bytes of the frame; they may change once it resolves.
   *
   * @throws CorruptionError, also for bytes behind the frame's end; what `onHeader` throws
   */
  async push(bytes: Uint8Array): Promise<void> {
    const early = this.#layout.early;
    this.#layout.push(bytes);
    const { header } = this.#layout;
    if (header === null) return;
    if (this.#decoder === null) {
      checkHeader(header, this.#options.plainBytesMax);
      this.#options.onHeader(header);
      this.#decoder = this.#open();
      if (early.byteLength > 0) await this.#write(this.#decoder, early);
    }
    await this.#write(this.#decoder, bytes);
  }

  /** @throws CorruptionError where the frame is not whole, or holds other than it declares */
  async finish(): Promise<void> {
    const decoder = this.#decoder;
    if (decoder === null || !this.#layout.ended) throw new CorruptionError('a zstd frame is cut short');
    if (this.#failure === null && !decoder.closed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        decoder.end();
      });
    }
    if (this.#failure !== null) throw decodingError(this.#failure);
    const declared = this.#layout.header?.contentSize;
    if (this.#plainBytes === declared) return;
    throw new CorruptionError(`a zstd frame declares ${declared} plain bytes and holds ${this.#plainBytes}`);
  }

  #open(): zlib.ZstdDecompress {
    const decoder = zlib.createZstdDecompress({
      chunkSize: BLOCK_PLAIN_BYTES_MAX,
      params: { [zlib.constants.ZSTD_d_windowLogMax]: WINDOW_LOG_MAX },
    });
    decoder.on('error', (error: Error) => void (this.#failure ??= error));
    decoder.on('close', () => this.#wake());
    decoder.on('data', (plain: Uint8Array) => {
      this.#plainBytes += plain.byteLength;
      this.#options.onPlain(plain);
    });
    return decoder;
  }

  async #write(decoder: zlib.ZstdDecompress, bytes: Uint8Array): Promise<void> {
    // What was written before may have failed behind its own callback.
    if (this.#failure === null) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        decoder.write(bytes, () => resolve());
      });
    }
    if (this.#failure !== null) throw decodingError(this.#failure);
  }

  [Symbol.dispose](): void {
    this.#decoder?.destroy();
  }
}

/** Where the blocks of a frame that comes in pieces end. Source: RFC 8878, sections 3.1.1 and 3.1.2. */
class FrameLayout {
  header: FrameHeader | null = null;
  ended = false;
  /** Of the header, as long as it is not whole. */
  early: Uint8Array = new Uint8Array(0);
  /** Bytes of the current block, and what belongs to it, that are still to come. */
  #left = 0;
  #isLast = false;
  /** Of a block's own header: its bytes so far, as a number. */
  #value = 0;
  #valueBytes = 0;

  push(bytes: Uint8Array): void {
    for (let at = this.#takeHeader(bytes); at < bytes.byteLength; ) {
      if (this.ended) throw new CorruptionError('bytes follow a zstd frame');
      if (this.#left > 0) {
        const taken = Math.min(this.#left, bytes.byteLength - at);
        this.#left -= taken;
        at += taken;
        this.ended = this.#isLast && this.#left === 0;
      } else {
        this.#takeBlockHeader(bytes[at] ?? 0);
        at += 1;
      }
    }
  }

  /** How many of `bytes` belong to it. */
  #takeHeader(bytes: Uint8Array): number {
    if (this.header !== null) return 0;
    const before = this.early.byteLength;
    const begin = Buffer.concat([this.early, bytes.subarray(0, FRAME_HEADER_BYTES_MAX)]);
    this.header = decodeFrameHeader(begin);
    if (this.header !== null) return this.header.headerBytes - before;
    this.early = begin;
    return bytes.byteLength;
  }

  #takeBlockHeader(byte: number): void {
    this.#value |= byte << (8 * this.#valueBytes);
    this.#valueBytes += 1;
    if (this.#valueBytes < BLOCK_HEADER_BYTES) return;
    const type = (this.#value >> 1) & 0b11;
    const size = this.#value >> 3;
    this.#isLast = (this.#value & 1) === 1;
    if (type === 3 || size > BLOCK_PLAIN_BYTES_MAX) throw new CorruptionError('a zstd frame holds a malformed block');
    // A block that repeats one byte holds just that.
    this.#left = (type === 1 ? 1 : size) + (this.#isLast && this.header?.checksum === true ? CHECKSUM_BYTES : 0);
    this.ended = this.#isLast && this.#left === 0;
    this.#value = 0;
    this.#valueBytes = 0;
  }
}
