/**
 * The SDK's client, made as this program needs it: one attempt for each request (wrap/retrying tries again, for all
 * stores alike), deadlines that throw, a bounded pool of kept connections, and no checksum trailers (`aws-chunked`),
 * which other stores than AWS refuse or, worse, store as content.
 */
import type { S3Client, S3ClientConfig } from '@aws-sdk/client-s3';
import { assert, ConfigurationError } from '../../core/errors.ts';
import { Deadline } from '../deadline.ts';
import { ObjectNotFoundError, StoreNotFoundError, UnauthorizedError } from '../replica-client.ts';
import { hasStatus, s3Error, UndecidedAbsence } from './s3-errors.ts';
import {
  CONNECTION_TIMEOUT_MS,
  CONNECTIONS_MAX,
  REQUEST_TIMEOUT_MS,
  type S3ReplicaOptions,
  s3Url,
} from './s3-options.ts';
import { UploadPace, UploadWatch } from './upload-pace.ts';

/** Of Node's timers; a longer one would fire at once. */
const TIMER_MS_MAX = 2 ** 31 - 1;

export type S3Sdk = typeof import('@aws-sdk/client-s3');

export interface RequestOptions {
  /** `put log/0/…`: for messages. */
  readonly what: string;
  readonly signal?: AbortSignal | undefined;
  /** Bytes that are sent: they prolong the deadline. */
  readonly bytes?: number;
}

/** What each `send` of the SDK is given. */
export interface HttpOptions {
  readonly abortSignal: AbortSignal;
  readonly requestTimeout: number;
}

const REREAD_PROFILES = { ignoreCache: true };

// The SDK's default is the console, for "socket usage at capacity"; here calls that wait for a connection are normal.
const silent = { trace() {}, debug() {}, info() {}, warn() {}, error() {} };

export class S3Connection {
  readonly sdk: S3Sdk;
  readonly client: S3Client;
  readonly url: string;
  readonly bucket: string;
  readonly requestTimeoutMs: number;
  readonly #uploadPace: UploadPace;
  #answered = false;
  /** Credentials that were refused are looked up again before they are used once more: somebody may have changed them. */
  #refused = false;
  #closed = false;

  private constructor(sdk: S3Sdk, client: S3Client, options: S3ReplicaOptions) {
    this.sdk = sdk;
    this.client = client;
    this.url = s3Url(options);
    this.bucket = options.bucket;
    this.requestTimeoutMs = options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS;
    this.#uploadPace = new UploadPace(this);
  }

  /** Loads the SDK; asks nothing of the store. @throws ConfigurationError when no region can be found */
  static async open(options: S3ReplicaOptions): Promise<S3Connection> {
    const sdk = await import('@aws-sdk/client-s3');
    const config = clientConfig(options);
    let client = new sdk.S3Client(config);
    try {
      await client.config.region();
    } catch (cause) {
      client.destroy();
      if (options.endpoint === undefined) {
        throw new ConfigurationError(`${s3Url(options)}: no region is known`, {
          cause,
          hint: 'Add region=… to the URL, or set AWS_REGION.',
        });
      }
      client = new sdk.S3Client({ ...config, region: 'us-east-1' });
    }
    return new S3Connection(sdk, client, options);
  }

  /** One request: its deadline, and its failure in the contract's words. */
  async call<T>(options: RequestOptions, request: (http: HttpOptions) => Promise<T>): Promise<T> {
    try {
      return await this.#attempt(options, request);
    } catch (error) {
      if (!(error instanceof UndecidedAbsence)) throw error;
      await this.#proveBucket(options);
      throw new ObjectNotFoundError(error.message, { cause: error.cause, facts: { url: this.url } });
    }
  }

  async #attempt<T>(
    { what, signal, bytes = 0 }: RequestOptions,
    request: (http: HttpOptions) => Promise<T>,
  ): Promise<T> {
    assert(!this.#closed, `${what} by a closed client of ${this.url}`);
    const limitMs = this.#uploadPace.limitMs(bytes);
    const where = `${what} in ${this.url}`;
    using deadline = new Deadline({
      // That of an upload is watched: whoever looks after it ends it, and this is the second line.
      timeoutMs: bytes === 0 ? this.requestTimeoutMs : limitMs + 2 * this.requestTimeoutMs,
      what: where,
      signal,
    });
    using _watch = bytes === 0 ? null : this.#watchUpload(where, { limitMs, deadline });
    const beganMs = performance.now();
    try {
      if (this.#refused) await deadline.race(this.#renewCredentials());
      // The SDK's own limit is the third: it ends the socket where our signal would not.
      const requestTimeout = Math.min(TIMER_MS_MAX, limitMs + 3 * this.requestTimeoutMs);
      const answer = await deadline.race(request({ abortSignal: deadline.signal, requestTimeout }));
      this.#answered = true;
      this.#uploadPace.passed(bytes, performance.now() - beganMs);
      return answer;
    } catch (error) {
      deadline.signal.throwIfAborted();
      const said = s3Error(error, { what, url: this.url, bucket: this.bucket, answered: this.#answered });
      this.#refused ||= said instanceof UnauthorizedError;
      throw said;
    }
  }

  async #renewCredentials(): Promise<void> {
    this.#refused = false;
    // The SDK's chain of providers takes this option; its types know it only inside of the SDK.
    const renew = this.client.config.credentials as (options: { forceRefresh: boolean }) => Promise<unknown>;
    await renew({ forceRefresh: true });
  }

  #watchUpload(where: string, { limitMs, deadline }: { limitMs: number; deadline: Deadline }): UploadWatch {
    const { requestTimeoutMs } = this;
    const onEnd = (why: 'no-answer' | 'too-slow'): void => {
      if (why === 'no-answer') return deadline.expire(`no answer within ${requestTimeoutMs} ms: ${where}`);
      this.#uploadPace.wasTooSlow();
      deadline.expire(`not through within ${limitMs} ms, though the store answers: ${where}`);
    };
    return new UploadWatch({ requestTimeoutMs, limitMs, probe: () => this.#isAlive(deadline.signal), onEnd });
  }

  /** Whether there is any answer to a small request, whatever it says. */
  async #isAlive(signal: AbortSignal): Promise<boolean> {
    const command = new this.sdk.HeadBucketCommand({ Bucket: this.bucket });
    try {
      using deadline = new Deadline({
        timeoutMs: this.requestTimeoutMs,
        what: 'look whether the store answers',
        signal,
      });
      await deadline.race(this.client.send(command, { abortSignal: deadline.signal }));
      return true;
    } catch (error) {
      return hasStatus(error);
    }
  }

  /**
   * A HEAD's 404 cannot tell a missing key from a missing bucket, nor, at some stores, from an unknown access key: a
   * listing of one key has the same rights as HeadBucket, and an answer with a code.
   *
   * @throws StoreNotFoundError, UnauthorizedError
   */
  async #proveBucket({ signal }: RequestOptions): Promise<void> {
    const command = new this.sdk.ListObjectsV2Command({ Bucket: this.bucket, MaxKeys: 1 });
    const what = `look for bucket ${this.bucket}`;
    try {
      await this.#attempt({ what, signal }, (http) => this.client.send(command, http));
    } catch (error) {
      if (!(error instanceof UndecidedAbsence)) throw error;
      const hint = `Make the bucket ${this.bucket}, or correct the URL and its endpoint.`;
      throw new StoreNotFoundError(error.message, { cause: error.cause, hint, facts: { url: this.url } });
    }
  }

  close(): void {
    if (!this.#closed) this.client.destroy();
    this.#closed = true;
  }
}

function clientConfig(options: S3ReplicaOptions): S3ClientConfig {
  const { endpoint, region, credentials, requestTimeoutMs = REQUEST_TIMEOUT_MS } = options;
  const agent = { keepAlive: true, maxSockets: options.connectionsMax ?? CONNECTIONS_MAX };
  return {
    maxAttempts: 1,
    // Passed on to the SDK's reader of ~/.aws: a file that somebody has changed is read anew when we ask again.
    ...REREAD_PROFILES,
    // Without one of its own the SDK writes some of its warnings to the console.
    logger: silent,
    // It would cost large bodies a round trip and, as the SDK does it, a connection of their own outside of the pool.
    expectContinueHeader: false,
    forcePathStyle: options.forcePathStyle ?? endpoint !== undefined,
    // The SDK's default sends bodies that stream as aws-chunked with a trailer. What is stored has checksums of its own.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
    ...(credentials === undefined ? {} : { credentials }),
    requestHandler: {
      httpAgent: agent,
      httpsAgent: agent,
      connectionTimeout: options.connectionTimeoutMs ?? Math.min(CONNECTION_TIMEOUT_MS, requestTimeoutMs),
      requestTimeout: requestTimeoutMs,
      throwOnRequestTimeout: true,
      // A slow reader of a download, or a slow line, looks the same as a connection on which nothing moves.
      socketTimeout: 0,
      logger: silent,
    },
  };
}
