/** The contract over S3 and its many relatives. */
import { Readable } from 'node:stream';
import type { ListObjectsV2CommandInput, ListObjectsV2CommandOutput } from '@aws-sdk/client-s3';
import { ConfigurationError } from '../../core/errors.ts';
import { compareKeys, keyParts } from '../keys.ts';
import { bodyBytes, checkRange, isStream } from '../put-body.ts';
import {
  type ByteRange,
  type CallOptions,
  type ConditionalPower,
  type DeleteFailure,
  type GetOptions,
  type ListedObject,
  type ListOptions,
  type ObjectFacts,
  ObjectNotFoundError,
  type ObjectVersion,
  PreconditionFailedError,
  type PutBody,
  type PutOptions,
  type ReplicaClient,
  type StoredObject,
  UnsupportedByStoreError,
} from '../replica-client.ts';
import { DownloadBody } from './download-body.ts';
import { uploadInParts } from './multipart-upload.ts';
import { putInOneRequest } from './put-object.ts';
import { deleteObjects } from './s3-delete.ts';
import { S3Connection } from './s3-connection.ts';
import {
  BATCH_KEYS,
  MULTIPART_THRESHOLD_BYTES,
  PART_BYTES,
  PART_BYTES_MIN,
  type S3ReplicaOptions,
} from './s3-options.ts';

export class S3ReplicaClient implements ReplicaClient {
  readonly url: string;
  readonly conditional: ConditionalPower;
  readonly #connection: S3Connection;
  readonly #options: S3ReplicaOptions;
  readonly #keyPrefix: string;

  private constructor(connection: S3Connection, options: S3ReplicaOptions) {
    this.url = connection.url;
    this.conditional = options.conditional ?? 'full';
    this.#connection = connection;
    this.#options = options;
    this.#keyPrefix = options.prefix === '' ? '' : `${options.prefix}/`;
  }

  /** Asks nothing of the store yet. @throws ConfigurationError */
  static async open(options: S3ReplicaOptions): Promise<S3ReplicaClient> {
    if ((options.partBytes ?? PART_BYTES) < PART_BYTES_MIN) {
      throw new ConfigurationError(`parts of ${options.partBytes} bytes: S3 takes none below ${PART_BYTES_MIN}`);
    }
    return new S3ReplicaClient(await S3Connection.open(options), options);
  }

  async put(key: string, body: PutBody, options: PutOptions = {}): Promise<{ version: ObjectVersion }> {
    try {
      return await this.#put(key, body, options);
    } catch (error) {
      // If-Match on a key that is not there: AWS answers 404, not 412.
      if (!(error instanceof ObjectNotFoundError) || options.ifMatch === undefined) throw error;
      throw new PreconditionFailedError(error.message, { cause: error, facts: error.facts });
    }
  }

  async #put(key: string, body: PutBody, options: PutOptions): Promise<{ version: ObjectVersion }> {
    const { signal, ifAbsent = false, ifMatch } = options;
    this.#checkPower(ifAbsent, ifMatch);
    const { multipartThresholdBytes = MULTIPART_THRESHOLD_BYTES, partBytes = PART_BYTES } = this.#options;
    const params = {
      ...this.#place(key),
      ...(ifAbsent ? { IfNoneMatch: '*' } : {}),
      ...(ifMatch === undefined ? {} : { IfMatch: ifMatch }),
    };
    const what = `put ${key}`;
    const bytes = bodyBytes(body) ?? Number.POSITIVE_INFINITY;
    signal?.throwIfAborted();
    if (isStream(body) || bytes > multipartThresholdBytes) {
      const etag = await uploadInParts(this.#connection, body, { what, signal, partBytes, params });
      return { version: this.#requireVersion(etag, what) };
    }
    const answer = await putInOneRequest(this.#connection, body, { what, signal, bytes, params });
    return { version: this.#requireVersion(answer.ETag, what) };
  }

  async get(key: string, options: GetOptions = {}): Promise<StoredObject> {
    const { signal, range, ifMatch } = options;
    if (range) checkRange(range);
    const what = `get ${key}`;
    const command = new this.#connection.sdk.GetObjectCommand({
      ...this.#place(key),
      ...(range ? { Range: `bytes=${range.start}-${range.endExclusive - 1}` } : {}),
      ...(ifMatch === undefined ? {} : { IfMatch: ifMatch }),
    });
    const answer = await this.#connection.call({ what, signal }, (http) => this.#connection.client.send(command, http));
    const stream = answer.Body;
    if (!(stream instanceof Readable))
      throw new UnsupportedByStoreError(`${what} in ${this.url}: an answer without a body`);
    try {
      const { size, bytes } = range ? partOf(answer, range) : wholeOf(answer);
      const body = new DownloadBody(stream, {
        what: `${what} in ${this.url}`,
        bytes,
        idleTimeoutMs: this.#connection.requestTimeoutMs,
        signal,
      });
      return { version: this.#requireVersion(answer.ETag, what), size, body, givesChunksAway: true };
    } catch (error) {
      stream.destroy();
      throw error;
    }
  }

  async head(key: string, options: CallOptions = {}): Promise<ObjectFacts> {
    const what = `head ${key}`;
    const command = new this.#connection.sdk.HeadObjectCommand(this.#place(key));
    const answer = await this.#connection.call({ what, signal: options.signal }, (http) =>
      this.#connection.client.send(command, http),
    );
    return { version: this.#requireVersion(answer.ETag, what), size: wholeOf(answer).size };
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncIterable<ListedObject> {
    const { signal, startAfter } = options;
    let from: Pick<ListObjectsV2CommandInput, 'StartAfter' | 'ContinuationToken'> =
      startAfter === undefined ? {} : { StartAfter: this.#keyPrefix + startAfter };
    for (let before: string | undefined; ; ) {
      const command = new this.#connection.sdk.ListObjectsV2Command({
        Bucket: this.#options.bucket,
        Prefix: this.#keyPrefix + prefix,
        MaxKeys: BATCH_KEYS,
        ...from,
      });
      const page: ListObjectsV2CommandOutput = await this.#connection.call({ what: `list ${prefix}`, signal }, (http) =>
        this.#connection.client.send(command, http),
      );
      const first = page.Contents?.[0]?.Key;
      if (first !== undefined && before !== undefined && compareKeys(first, before) <= 0) {
        throw new UnsupportedByStoreError(`list in ${this.url}: the store does not get on from page to page`);
      }
      for (const { Key, Size } of page.Contents ?? []) {
        signal?.throwIfAborted();
        if (Key?.startsWith(this.#keyPrefix)) yield { key: Key.slice(this.#keyPrefix.length), size: Size ?? 0 };
      }
      const last = page.Contents?.at(-1)?.Key;
      before = last ?? before;
      if (!page.IsTruncated) return;
      if (page.NextContinuationToken !== undefined) from = { ContinuationToken: page.NextContinuationToken };
      else if (last !== undefined) from = { StartAfter: last };
      else throw new UnsupportedByStoreError(`list in ${this.url}: an empty page that is not the last one`);
    }
  }

  async delete(keys: readonly string[], options: CallOptions = {}): Promise<readonly DeleteFailure[]> {
    options.signal?.throwIfAborted();
    const paths = keys.map((key) => this.#place(key).Key);
    const failures = await deleteObjects(this.#connection, paths, options);
    return failures.map(({ key, error }) => ({ key: key.slice(this.#keyPrefix.length), error }));
  }

  async close(): Promise<void> {
    this.#connection.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #place(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#options.bucket, Key: this.#keyPrefix + keyParts(key).join('/') };
  }

  #requireVersion(etag: string | undefined, what: string): ObjectVersion {
    if (etag === undefined || etag === '') {
      throw new UnsupportedByStoreError(`${what} in ${this.url}: the store gave no ETag`);
    }
    return etag;
  }

  #checkPower(ifAbsent: boolean, ifMatch: ObjectVersion | undefined): void {
    if (this.conditional === 'full' || (ifMatch === undefined && (this.conditional === 'create-only' || !ifAbsent)))
      return;
    throw new UnsupportedByStoreError(`${this.url} has no such conditional writes`);
  }
}

interface SizeHeaders {
  readonly ContentLength?: number | undefined;
  readonly ContentRange?: string | undefined;
}

interface Extent {
  /** Of the whole object. */
  readonly size: number;
  /** That this answer brings. */
  readonly bytes: number;
}

function wholeOf({ ContentLength }: SizeHeaders): Extent {
  if (ContentLength === undefined) throw new UnsupportedByStoreError('the store gave no Content-Length');
  return { size: ContentLength, bytes: ContentLength };
}

/** @throws UnsupportedByStoreError when the answer is another part than was asked for */
function partOf(answer: SizeHeaders, asked: ByteRange): Extent {
  const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(answer.ContentRange ?? '');
  if (!match) {
    // Some stores answer a range of an empty object with all of it instead of 416.
    if (answer.ContentLength === 0) throw new RangeError(`bytes from ${asked.start} of an empty object`);
    throw new UnsupportedByStoreError('the store ignores ranges');
  }
  const [start = 0, last = 0, size = 0] = match.slice(1).map(Number);
  const bytes = last - start + 1;
  if (
    start !== asked.start ||
    last + 1 !== Math.min(asked.endExclusive, size) ||
    (answer.ContentLength ?? bytes) !== bytes
  ) {
    throw new UnsupportedByStoreError(
      `the store answered ${answer.ContentRange} to bytes=${asked.start}-${asked.endExclusive - 1}`,
    );
  }
  return { size, bytes };
}
