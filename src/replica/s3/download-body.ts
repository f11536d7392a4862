/**
 * The bytes of one answer: complete or an error, never silently shorter, and never waited for longer than the deadline.
 * Chunks pass as the socket gave them, uncopied; the watchdog's timer runs only while somebody waits for bytes.
 */
import type { Readable } from 'node:stream';
import { UnavailableError } from '../replica-client.ts';

/** Beyond this the socket is paused until the reader has caught up. */
const AHEAD_BYTES_MAX = 256 * 1024;

export interface DownloadOptions {
  /** `get log/0/… in s3://…`: for messages. */
  readonly what: string;
  readonly bytes: number;
  readonly idleTimeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export class DownloadBody implements AsyncIterableIterator<Uint8Array> {
  readonly #stream: Readable;
  readonly #options: DownloadOptions;
  readonly #chunks: Uint8Array[] = [];
  #aheadBytes = 0;
  #receivedBytes = 0;
  #ended = false;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;
  readonly #onAbort = (): void => this.#fail(reasonOf(this.#options.signal));

  constructor(stream: Readable, options: DownloadOptions) {
    this.#stream = stream;
    this.#options = options;
    stream.on('data', (chunk: Uint8Array) => this.#receive(chunk));
    stream.once('end', () => this.#end());
    stream.on('error', (error: Error) => this.#fail(this.#broken(error.message, error)));
    stream.once('close', () => this.#end());
    options.signal?.addEventListener('abort', this.#onAbort, { once: true });
    if (options.signal?.aborted) this.#onAbort();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array>> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      const value = this.#chunks.shift();
      if (value) {
        this.#aheadBytes -= value.byteLength;
        if (this.#stream.isPaused() && this.#aheadBytes < AHEAD_BYTES_MAX / 2) this.#stream.resume();
        return { done: false, value };
      }
      if (this.#ended) return { done: true, value: undefined };
      await this.#wait();
    }
  }

  async return(): Promise<IteratorReturnResult<undefined>> {
    this.#release();
    this.#chunks.length = 0;
    this.#ended = true;
    return { done: true, value: undefined };
  }

  #wait(): Promise<void> {
    const { what, idleTimeoutMs } = this.#options;
    return new Promise((resolve) => {
      const timer = setTimeout(
        () =>
          this.#fail(
            new UnavailableError(`${what}: no byte came for ${idleTimeoutMs} ms`, { facts: { idleTimeoutMs } }),
          ),
        idleTimeoutMs,
      );
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
    });
  }

  #receive(chunk: Uint8Array): void {
    this.#receivedBytes += chunk.byteLength;
    if (this.#receivedBytes > this.#options.bytes) return this.#fail(this.#broken('more bytes than announced'));
    this.#chunks.push(chunk);
    this.#aheadBytes += chunk.byteLength;
    if (this.#aheadBytes >= AHEAD_BYTES_MAX) this.#stream.pause();
    this.#wake?.();
  }

  #end(): void {
    if (this.#ended || this.#failure !== undefined) return;
    if (this.#receivedBytes < this.#options.bytes) return this.#fail(this.#broken('the connection ended'));
    this.#ended = true;
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    this.#wake?.();
  }

  #fail(error: Error): void {
    // What breaks after the last byte came, or after the reader has left, is no loss.
    if (this.#ended || this.#failure !== undefined) return;
    this.#failure = error;
    this.#chunks.length = 0;
    this.#release();
    this.#wake?.();
  }

  #release(): void {
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    this.#stream.destroy();
  }

  #broken(why: string, cause?: unknown): UnavailableError {
    const { what, bytes } = this.#options;
    return new UnavailableError(`${what}: ${why} after ${this.#receivedBytes} of ${bytes} bytes`, {
      cause,
      facts: { bytes },
    });
  }
}

/** Whoever aborts may give anything as a reason; what is thrown is an error. */
function reasonOf(signal: AbortSignal | undefined): Error {
  const reason: unknown = signal?.reason;
  return reason instanceof Error ? reason : new Error(`aborted: ${String(reason)}`);
}
