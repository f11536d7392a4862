/** An S3 client before a server whose every answer the test writes. */
import { S3ReplicaClient } from '../../src/replica/s3/s3-replica-client.ts';
import type { S3ReplicaOptions } from '../../src/replica/s3/s3-options.ts';
import { ReplicateError } from '../../src/core/errors.ts';
import { type Answer, type RawHttpServer, rawHttpServer } from './raw-http-server.ts';

/** A deadline for servers that hang; those that answer get a long one, so that a busy machine fails no test. */
export const SHORT_MS = 300;
const LONG_MS = 20_000;

export const openScripted = (endpoint: string, options: Partial<S3ReplicaOptions> = {}): Promise<S3ReplicaClient> =>
  S3ReplicaClient.open({
    bucket: 'bucket',
    prefix: '',
    endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    requestTimeoutMs: LONG_MS,
    ...options,
  });

export async function withServer(
  answer: Answer,
  run: (client: S3ReplicaClient, server: RawHttpServer) => Promise<void>,
  options: Partial<S3ReplicaOptions> = {},
): Promise<void> {
  await using server = await rawHttpServer(answer);
  await using client = await openScripted(server.endpoint, options);
  await run(client, server);
}

/** What `work` failed with; anything but an error of ours is thrown. */
export async function failure(work: Promise<unknown>): Promise<ReplicateError> {
  const error: unknown = await work.then(
    () => new Error('it succeeded'),
    (caught: unknown) => caught,
  );
  if (error instanceof ReplicateError) return error;
  throw error;
}
