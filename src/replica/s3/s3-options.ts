/** What an S3 destination is made of; the defaults are in one place. */
import type { ConditionalPower } from '../replica-client.ts';

const MIB = 1024 * 1024;

export interface S3ReplicaOptions {
  readonly bucket: string;
  /** Without slashes at its ends; empty for the whole bucket. */
  readonly prefix: string;
  /** http(s) URL of an S3-compatible store; without it AWS. */
  readonly endpoint?: string;
  /** Default: environment or profile, as the SDK finds it; with an endpoint else us-east-1. */
  readonly region?: string;
  /** The bucket in the path instead of the host name. Default: true with an endpoint. */
  readonly forcePathStyle?: boolean;
  /** Explicit credentials; otherwise the SDK's own chain: environment, profile, web identity, instance metadata. */
  readonly credentials?: S3Credentials;
  /** Default full. For stores that are known to ignore conditions. */
  readonly conditional?: ConditionalPower;
  /** For each request, and without any progress of a body in either direction. Default 30 s. */
  readonly requestTimeoutMs?: number;
  /** Default: the lesser of 10 s and the request's. */
  readonly connectionTimeoutMs?: number;
  /**
   * A body in memory up to this size is one request. Default 64 MiB: a pack or log object of 32 MiB then costs one
   * request instead of four.
   */
  readonly multipartThresholdBytes?: number;
  /** Default 16 MiB; at least 5 MiB, as S3 demands. */
  readonly partBytes?: number;
  /** Connections to the store at once; more calls wait. Default 32. */
  readonly connectionsMax?: number;
}

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export const REQUEST_TIMEOUT_MS = 30_000;
export const CONNECTION_TIMEOUT_MS = 10_000;
export const MULTIPART_THRESHOLD_BYTES = 64 * MIB;
export const PART_BYTES = 16 * MIB;
export const PART_BYTES_MIN = 5 * MIB;
export const PARTS_MAX = 10_000;
export const CONNECTIONS_MAX = 32;
/** Keys of one page of a listing and of one batch of deletes: S3's own limit. */
export const BATCH_KEYS = 1000;
/** An upload that is slower than this is given up at first, though its store answers: bytes a second. */
export const UPLOAD_RATE_MIN = 256 * 1024;

/** For people: no credentials are ever in it. */
export function s3Url({ bucket, prefix, endpoint, region, forcePathStyle }: S3ReplicaOptions): string {
  const parameters = [
    ...(endpoint === undefined ? [] : [`endpoint=${endpoint}`]),
    ...(region === undefined ? [] : [`region=${region}`]),
    ...(forcePathStyle === undefined ? [] : [`forcePathStyle=${forcePathStyle}`]),
  ];
  return `s3://${bucket}${prefix === '' ? '' : `/${prefix}`}${parameters.length === 0 ? '' : `?${parameters.join('&')}`}`;
}
