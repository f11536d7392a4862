/**
 * Bodies in several parts, by the SDK's own Upload. It is given a client of ours, so that every request has a deadline
 * and the caller's signal; and what it began is aborted here whenever it did not end well, because it strands parts
 * itself in some of its failures. A bucket rule AbortIncompleteMultipartUpload covers a process that dies.
 *
 * Memory: a body in one piece is cut, not copied. A stream or a list holds two parts of 8 MiB in flight and two in the making.
 */
import { Readable } from 'node:stream';
import type { CompleteMultipartUploadCommandOutput, PutObjectCommandInput, S3Client } from '@aws-sdk/client-s3';
import { asBuffer, bodyBytes } from '../put-body.ts';
import { openBody, type PutBody, UnsupportedByStoreError } from '../replica-client.ts';
import type { HttpOptions, RequestOptions, S3Connection } from './s3-connection.ts';
import { PARTS_MAX } from './s3-options.ts';

const PARTS_AT_ONCE = 4;
const STREAM_PARTS_AT_ONCE = 2;
const STREAM_PART_BYTES_MAX = 8 * 1024 * 1024;
const PIECE_BYTES = 1024 * 1024;

export interface MultipartOptions extends RequestOptions {
  readonly partBytes: number;
  readonly params: PutObjectCommandInput;
}

type SdkCommand = { readonly input: { readonly Body?: unknown; readonly UploadId?: string | undefined } };
type AnySend = (command: SdkCommand, http: HttpOptions) => Promise<unknown>;

/** A stream shorter than a part goes out as one request. Gives the ETag. */
export async function uploadInParts(
  connection: S3Connection,
  body: PutBody,
  options: MultipartOptions,
): Promise<string | undefined> {
  const { Upload } = await import('@aws-sdk/lib-storage');
  const bytes = bodyBytes(body);
  const partBytes =
    bytes === null
      ? Math.min(options.partBytes, STREAM_PART_BYTES_MAX)
      : Math.max(options.partBytes, Math.ceil(bytes / PARTS_MAX));
  const source = body instanceof Uint8Array ? wholeOf(body) : streamOf(body, { ...options, partBytes });
  const watched = new WatchedClient(connection, options);
  try {
    const upload = new Upload({
      client: watched.client,
      params: { ...options.params, Body: source.body },
      partSize: partBytes,
      queueSize: source.body instanceof Readable ? STREAM_PARTS_AT_ONCE : PARTS_AT_ONCE,
      leavePartsOnError: true,
    });
    const answer: Partial<CompleteMultipartUploadCommandOutput> = await upload.done();
    watched.completed = true;
    return answer.ETag;
  } catch (error) {
    throw source.failure() ?? error;
  } finally {
    source.release();
    await watched.abortUnfinished();
  }
}

/** The part of S3Client that Upload uses, with deadlines, and with an eye on what was begun. */
class WatchedClient {
  readonly #connection: S3Connection;
  readonly #options: MultipartOptions;
  #uploadId: string | undefined;
  completed = false;

  constructor(connection: S3Connection, options: MultipartOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  get client(): S3Client {
    const watched = { config: this.#connection.client.config, send: (command: SdkCommand) => this.#send(command) };
    return watched as unknown as S3Client;
  }

  async #send(command: SdkCommand): Promise<unknown> {
    const { what, signal } = this.#options;
    const { Body } = command.input;
    const bytes = Body instanceof Uint8Array ? Body.byteLength : 0;
    // Upload mixes commands of many types; each gets its own answer back.
    const client = this.#connection.client;
    const send = client.send.bind(client) as unknown as AnySend;
    const answer = await this.#connection.call({ what, signal, bytes }, (http) => send(command, http));
    if (command instanceof this.#connection.sdk.CreateMultipartUploadCommand) {
      this.#uploadId = (answer as { UploadId?: string }).UploadId;
    }
    return answer;
  }

  /** Not under the caller's signal: an aborted call too must not leave parts that cost money. */
  async abortUnfinished(): Promise<void> {
    if (this.completed || this.#uploadId === undefined) return;
    const { Bucket, Key } = this.#options.params;
    const { sdk, client } = this.#connection;
    const command = new sdk.AbortMultipartUploadCommand({ Bucket, Key, UploadId: this.#uploadId });
    try {
      await this.#connection.call({ what: `abort ${this.#options.what}` }, (http) => client.send(command, http));
    } catch {
      // The upload's own error is what the caller must see; the bucket's rule removes what stays.
    }
  }
}

interface Source {
  readonly body: Buffer | Readable;
  /** What ended the caller's stream, if that is what failed. */
  failure(): unknown;
  release(): void;
}

const wholeOf = (body: Uint8Array): Source => ({
  body: asBuffer(body),
  failure: () => undefined,
  release: () => undefined,
});

/** Pieces of 1 MiB, copied: whoever streams may use its buffers again. Upload joins them to parts. */
function streamOf(body: PutBody, options: { partBytes: number; signal?: AbortSignal | undefined }): Source {
  let failure: unknown;
  async function* pieces(): AsyncIterable<Buffer> {
    try {
      yield* cutIntoPieces(openBody(body), options);
    } catch (error) {
      // A stream that is destroyed throws into its source: that is not why it was destroyed.
      if (!stream.destroyed) failure = error;
      throw error;
    }
  }
  const stream = Readable.from(pieces(), { objectMode: true, highWaterMark: 1 });
  return { body: stream, failure: () => failure, release: () => void stream.destroy() };
}

async function* cutIntoPieces(
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  { partBytes, signal }: { partBytes: number; signal?: AbortSignal | undefined },
): AsyncIterable<Buffer> {
  let piece = Buffer.allocUnsafe(PIECE_BYTES);
  let filled = 0;
  let bytes = 0;
  for await (const chunk of chunks) {
    signal?.throwIfAborted();
    bytes += chunk.byteLength;
    if (bytes > partBytes * PARTS_MAX) {
      throw new UnsupportedByStoreError(`a stream of more than ${PARTS_MAX} parts of ${partBytes} bytes`);
    }
    for (let taken = 0; taken < chunk.byteLength; ) {
      const part = chunk.subarray(taken, taken + PIECE_BYTES - filled);
      piece.set(part, filled);
      filled += part.byteLength;
      taken += part.byteLength;
      if (filled < PIECE_BYTES) continue;
      yield piece;
      piece = Buffer.allocUnsafe(PIECE_BYTES);
      filled = 0;
    }
  }
  signal?.throwIfAborted();
  if (filled > 0 || bytes === 0) yield piece.subarray(0, filled);
}
