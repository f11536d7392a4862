/**
 * One object in one request of known length. A list is sent part by part: joining 32 MiB of frames would need the same
 * memory again, and cost more time than hashing them.
 */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { PutObjectCommandInput, PutObjectCommandOutput } from '@aws-sdk/client-s3';
import { asBuffer } from '../put-body.ts';
import type { RequestOptions, S3Connection } from './s3-connection.ts';

/** Below this a list is joined: a stream costs more than the copy. */
const JOINED_BYTES_MAX = 256 * 1024;

export interface PutObjectOptions extends RequestOptions {
  readonly bytes: number;
  readonly params: PutObjectCommandInput;
}

export async function putInOneRequest(
  connection: S3Connection,
  body: Uint8Array | readonly Uint8Array[],
  options: PutObjectOptions,
): Promise<PutObjectCommandOutput> {
  const parts = body instanceof Uint8Array ? [body] : body;
  const single = parts.length === 1 ? parts[0] : undefined;
  if (single) return send(connection, asBuffer(single), options);
  if (options.bytes <= JOINED_BYTES_MAX) return send(connection, Buffer.concat(parts, options.bytes), options);
  const stream = Readable.from(parts, { objectMode: true, highWaterMark: 1 });
  try {
    return await send(connection, stream, options, sha256Hex(parts));
  } finally {
    stream.destroy();
  }
}

async function send(
  connection: S3Connection,
  body: Buffer | Readable,
  { params, bytes, ...options }: PutObjectOptions,
  sha256?: string,
): Promise<PutObjectCommandOutput> {
  const command = new connection.sdk.PutObjectCommand({ ...params, Body: body, ContentLength: bytes });
  if (sha256 !== undefined) {
    // The signer takes the payload's hash from this header; it could not know that of a stream, and would not sign it.
    command.middlewareStack.add(
      (next) => (args) => {
        const { headers } = args.request as { headers: Record<string, string> };
        headers['x-amz-content-sha256'] = sha256;
        return next(args);
      },
      { step: 'build', name: 'payloadHash' },
    );
  }
  return connection.call({ ...options, bytes }, (http) => connection.client.send(command, http));
}

function sha256Hex(parts: readonly Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}
