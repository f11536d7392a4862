/** A new bucket as a destination of the program: its URL and the credentials in the environment. */
import type { S3Server } from './s3-server.ts';

export interface S3Place {
  readonly url: string;
  readonly env: Readonly<Record<string, string>>;
}

export async function s3Place(server: S3Server): Promise<S3Place> {
  const bucket = await server.makeBucket();
  return { url: s3Url(server, bucket), env: s3Credentials(server) };
}

export const s3Url = ({ endpoint }: S3Server, bucket: string): string =>
  `s3://${bucket}/some/prefix?endpoint=${endpoint}&region=us-east-1&forcePathStyle=true`;

export const s3Credentials = ({ accessKeyId, secretAccessKey }: S3Server): Record<string, string> => ({
  AWS_ACCESS_KEY_ID: accessKeyId,
  AWS_SECRET_ACCESS_KEY: secretAccessKey,
});
