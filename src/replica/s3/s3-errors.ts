/**
 * What a failed request means in the contract's words. The error's code decides before the status: stores disagree on
 * statuses (versitygw answers 404 for an unknown access key, AWS 400 for an expired token), hardly on codes.
 * Sources: "Error responses" of the Amazon S3 API reference; codes seen from versitygw, MinIO, R2 and Ceph.
 */
import { ConfigurationError, type ErrorDetails, errorMessage, ReplicateError, systemCode } from '../../core/errors.ts';
import {
  ObjectNotFoundError,
  PreconditionFailedError,
  StoreNotFoundError,
  UnauthorizedError,
  UnavailableError,
  UnsupportedByStoreError,
} from '../replica-client.ts';

export interface S3ErrorContext {
  /** `get log/0/…`: what was asked. */
  readonly what: string;
  /** The destination, for people. */
  readonly url: string;
  readonly bucket: string;
  /** Whether the store has answered any request of this client: then the credentials were found and right once. */
  readonly answered: boolean;
}

/** A 404 that does not say of what, as every HEAD: whoever gets it must prove that the bucket is there. */
export class UndecidedAbsence extends Error {}

/** A request that the store refuses as such, for the callers that know another way (DeleteObjects). */
export class RequestRefusedError extends UnsupportedByStoreError {}

const KEY_CODES = new Set([
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'InvalidSecurity',
  'InvalidSignature',
  'XAdminUserNotFound',
]);
/** The SDK's names for an answer that has a status and no code. */
const CODELESS = new Set(['NotFound', 'UnknownError', 'Unknown', 'Error', '404']);
const TOKEN_CODES = new Set(['ExpiredToken', 'ExpiredTokenException', 'InvalidToken', 'TokenRefreshRequired']);
const DENIED_CODES = new Set(['AccessDenied', 'AllAccessDisabled', 'AccountProblem', 'NotSignedUp', 'Forbidden']);
const REGION_CODES = new Set([
  'PermanentRedirect',
  'AuthorizationHeaderMalformed',
  'IllegalLocationConstraintException',
]);
const LATER_CODES = new Set([
  'SlowDown',
  'SlowDownRead',
  'SlowDownWrite',
  'Throttling',
  'ThrottlingException',
  'TooManyRequests',
  'RequestLimitExceeded',
  'RequestTimeout',
  'InternalError',
  'ServiceUnavailable',
  'OperationAborted',
  'ConditionalRequestConflict',
  'BadDigest',
  'XAmzContentSHA256Mismatch',
  'IncompleteBody',
  'NoSuchUpload',
  'InvalidPart',
]);

interface Answer {
  readonly code: string;
  readonly status: number | undefined;
  readonly message: string;
  readonly region: string | undefined;
  readonly retryAfterMs: number | null;
}

/** Errors that are already in the contract's words, and bugs, pass unchanged. */
export function s3Error(error: unknown, context: S3ErrorContext): unknown {
  if (error instanceof ReplicateError || !(error instanceof Error)) return error;
  if (error.name === 'CredentialsProviderError') return noCredentials(error, context);
  const answer = answerOf(error);
  return answer === null ? connectionError(error, context) : answerError(answer, error, context);
}

/** Whether the error is an answer, of whatever kind. */
export const hasStatus = (error: unknown): boolean => error instanceof Error && answerOf(error) !== null;

/** Null when there was no answer at all. Shapes: ServiceException of the SDK, whose `name` is the store's code. */
function answerOf(error: Error): Answer | null {
  const { $metadata, $response, Region, BucketRegion } = error as Error & {
    $metadata?: { httpStatusCode?: number };
    $response?: { statusCode?: number; headers?: Record<string, string> };
    Region?: unknown;
    BucketRegion?: unknown;
  };
  const status = $metadata?.httpStatusCode ?? $response?.statusCode;
  if (status === undefined) return null;
  const region = [$response?.headers?.['x-amz-bucket-region'], Region, BucketRegion].find(
    (it) => typeof it === 'string',
  );
  const retryAfterMs = parseRetryAfter($response?.headers ?? {});
  return { code: error.name, status, message: error.message, region: region as string | undefined, retryAfterMs };
}

/**
 * Retry-After of RFC 9110, 10.2.3: seconds, or a date, which is told by the store's own clock (Date) and not by ours.
 * Null for what is neither.
 */
export function parseRetryAfter(headers: Readonly<Record<string, string | undefined>>): number | null {
  const said = headers['retry-after']?.trim();
  if (said === undefined) return null;
  if (/^\d{1,9}$/.test(said)) return Number(said) * 1000;
  const ms = Date.parse(said) - Date.parse(headers['date'] ?? '');
  return Number.isFinite(ms) ? Math.max(0, ms) : null;
}

function answerError(answer: Answer, cause: Error, context: S3ErrorContext): Error {
  const { code, status = 0, retryAfterMs } = answer;
  const said = `${status} ${code}${answer.message && answer.message !== code ? `: ${answer.message}` : ''}`;
  const message = `${context.what} in ${context.url}: the store answered ${said}`;
  const details = (hint?: string): ErrorDetails => ({
    cause,
    facts: { url: context.url, status, storeCode: code },
    ...(hint === undefined ? {} : { hint }),
  });
  const later = (hint?: string): UnavailableError =>
    new UnavailableError(message, { ...details(hint), answered: true, retryAfterMs });
  if (code === 'NoSuchKey') return new ObjectNotFoundError(message, details());
  if (code === 'NoSuchBucket') return bucketMissing(message, details, context);
  if (KEY_CODES.has(code)) {
    return new UnauthorizedError(
      message,
      details(
        'Check the access key id and the secret (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, or the profile), and that they belong to this endpoint.',
      ),
    );
  }
  if (TOKEN_CODES.has(code)) {
    return new UnauthorizedError(
      message,
      details('The session token is no longer valid: get new temporary credentials.'),
    );
  }
  if (code === 'RequestTimeTooSkewed') {
    // The SDK learns the store's clock from this answer, and somebody may set ours: another try is worth it.
    return later("Set this machine's clock (NTP): it differs too much from the store's.");
  }
  if (REGION_CODES.has(code) || status === 301 || status === 307) return wrongRegion(message, details, answer);
  if (code === 'InvalidBucketName') return new ConfigurationError(message, details('Correct the bucket in the URL.'));
  if (status === 412 || code === 'PreconditionFailed') return new PreconditionFailedError(message, details());
  if (status === 416 || code === 'InvalidRange') return new RangeError(message, { cause });
  if (LATER_CODES.has(code) || status === 409 || status === 408 || status === 429) {
    return later();
  }
  if (DENIED_CODES.has(code) || status === 401 || status === 403) {
    return new UnauthorizedError(
      message,
      details(
        `Allow these credentials s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload and s3:ListBucket on ${context.bucket}.`,
      ),
    );
  }
  if (status === 404 && CODELESS.has(code)) return new UndecidedAbsence(message, { cause });
  if (code === 'EntityTooLarge') return new UnsupportedByStoreError(message, details());
  if (status === 501 || status === 405) return new RequestRefusedError(message, details());
  if (status >= 500) return later();
  if (status >= 400)
    return new RequestRefusedError(message, details('Check that the endpoint is an S3 store and the region is right.'));
  return later('The answer is not that of an S3 store: check the endpoint, and proxies on the way.');
}

const bucketMissing = (
  message: string,
  details: (hint: string) => ErrorDetails,
  { bucket }: S3ErrorContext,
): StoreNotFoundError =>
  new StoreNotFoundError(
    message,
    details(`Make the bucket ${bucket}, or correct the URL. Buckets are never created by stdb-replicate.`),
  );

function wrongRegion(
  message: string,
  details: (hint: string) => ErrorDetails,
  { region, message: said }: Answer,
): Error {
  const right = region ?? /expecting '([a-z0-9-]+)'/.exec(said)?.[1];
  return new ConfigurationError(
    message,
    details(
      right
        ? `The bucket is in ${right}: add region=${right} to the URL.`
        : 'Add region=… of this bucket, or its endpoint=…, to the URL.',
    ),
  );
}

/** At the start it is a matter of configuration; later the chain merely failed to renew what it had found. */
function noCredentials(cause: Error, { what, url, answered }: S3ErrorContext): Error {
  const message = `${what} in ${url}: no credentials: ${errorMessage(cause)}`;
  if (answered)
    return new UnavailableError(message, { cause, hint: 'The credentials could not be renewed.', facts: { url } });
  return new UnauthorizedError(message, {
    cause,
    hint: 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the machine a role.',
    facts: { url },
  });
}

const CONNECTION_HINTS: readonly (readonly [RegExp, string])[] = [
  [/^(ENOTFOUND|EAI_AGAIN)$/, 'The host name of the endpoint cannot be resolved: check its spelling, and DNS.'],
  [/^ECONNREFUSED$/, 'Nothing listens there: check that the store runs, and the port.'],
  [
    /CERT|^ERR_TLS|SELF_SIGNED|UNABLE_TO/,
    "The store's TLS certificate is not accepted: NODE_EXTRA_CA_CERTS names more authorities.",
  ],
  [/^EPROTO$|^ERR_SSL|^HPE_/, 'The other side speaks another protocol: check http or https, and the port.'],
];

/** Network errors have a system code, time-outs a name; anything else is no matter of the network and passes. */
function connectionError(error: Error, { what, url }: S3ErrorContext): Error {
  const code = systemCode(error) ?? (error.name === 'TimeoutError' ? 'TimeoutError' : null);
  const known =
    code !== null &&
    /^(E[A-Z]|HPE_|CERT|UNABLE|DEPTH|SELF|TimeoutError|UND_)/.test(code) &&
    !/^ERR_(INVALID|OUT_OF|ASSERT)/.test(code);
  if (!known) return error;
  const hint = CONNECTION_HINTS.find(([pattern]) => pattern.test(code))?.[1];
  const why = error.message === '' ? code : error.message;
  return new UnavailableError(`${what} in ${url}: ${why}`, {
    cause: error,
    facts: { url, systemCode: code },
    ...(hint === undefined ? {} : { hint }),
  });
}
