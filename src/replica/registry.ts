/** From a destination's URL to a client. Each store's folder, and the SDK it may bring, is loaded only when it is used. */
import { distance } from 'fastest-levenshtein';
import { ConfigurationError } from '../core/errors.ts';
import type { ReplicaClient } from './replica-client.ts';

export interface FileReplicaUrl {
  readonly scheme: 'file';
  /** Absolute, without a slash at its end (except the root of the file system). */
  readonly root: string;
}

export interface S3ReplicaUrl {
  readonly scheme: 's3';
  readonly bucket: string;
  /** Without slashes at its ends; empty for the whole bucket. */
  readonly prefix: string;
  readonly endpoint?: string;
  readonly region?: string;
  readonly forcePathStyle?: boolean;
}

export type ReplicaUrl = FileReplicaUrl | S3ReplicaUrl;

const SCHEMES = ['file', 's3'] as const;
const S3_PARAMETERS = ['endpoint', 'region', 'forcePathStyle'] as const;
const EXAMPLES = 's3://bucket/prefix or file:///path';

export interface OpenReplicaOptions {
  /** Default 30 s. */
  readonly requestTimeoutMs?: number;
  /** Make a `file:` store's root directory. Other stores are never created. */
  readonly create?: boolean;
}

/** Opens nothing on the network yet: the first call does. @throws ConfigurationError for a bad URL */
export const openReplicaClient = async (url: string, options: OpenReplicaOptions = {}): Promise<ReplicaClient> =>
  openReplicaPlace(parseReplicaUrl(url), options);

/** The same for a place that is already known. */
export async function openReplicaPlace(place: ReplicaUrl, options: OpenReplicaOptions = {}): Promise<ReplicaClient> {
  switch (place.scheme) {
    case 'file': {
      const { FileReplicaClient } = await import('./file/file-replica-client.ts');
      return new FileReplicaClient(place.root, options);
    }
    case 's3': {
      const { S3ReplicaClient } = await import('./s3/s3-replica-client.ts');
      const { requestTimeoutMs } = options;
      return S3ReplicaClient.open({ ...place, ...(requestTimeoutMs === undefined ? {} : { requestTimeoutMs }) });
    }
  }
}

/** Checks a URL without opening anything. @throws ConfigurationError that says what is wrong and what would be right */
export function parseReplicaUrl(url: string): ReplicaUrl {
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(url)?.[1]?.toLowerCase();
  if (scheme === undefined) throw bad(url, 'it has no scheme', `Write ${EXAMPLES}.`);
  if (!isOneOf(SCHEMES, scheme)) throw unknownScheme(url, scheme);
  if (!URL.canParse(url)) throw bad(url, 'it cannot be parsed', `Write ${EXAMPLES}.`);
  const parsed = new URL(url);
  if (parsed.username !== '' || parsed.password !== '') {
    throw bad(
      url,
      'credentials in a URL end up in logs and process lists',
      'Give them by the environment or a profile.',
    );
  }
  if (url.includes('#')) throw bad(url, 'a fragment (#…) means nothing here', 'Write %23 for a # in the name.');
  return scheme === 'file' ? parseFileUrl(url, parsed) : parseS3Url(url, parsed);
}

function parseFileUrl(url: string, parsed: URL): FileReplicaUrl {
  if (!/^file:\/\//i.test(url) || !/^file:\/\/[^/?]*\//i.test(url)) {
    throw bad(url, 'the path is not absolute', 'Write file:///path, with three slashes.');
  }
  if (parsed.host !== '' || /^file:\/\/[^/]/i.test(url)) {
    throw bad(url, 'a file URL has no host', 'Write file:///path, with three slashes.');
  }
  if (parsed.search !== '' || url.includes('?'))
    throw bad(url, 'a file URL has no parameters', 'Remove what follows the question mark.');
  if (/(^|\/)(\.|%2e){1,2}(\/|$)/i.test(url.slice('file://'.length))) {
    throw bad(url, 'the path holds . or ..', 'Write the plain absolute path.');
  }
  const root = decode(url, parsed.pathname).replace(/(?<=.)\/+$/, '');
  if (root.includes('\0')) throw bad(url, 'the path holds a NUL', 'Write the plain absolute path.');
  return { scheme: 'file', root };
}

function parseS3Url(url: string, parsed: URL): S3ReplicaUrl {
  const bucket = /^s3:\/\/([^/?]*)/i.exec(url)?.[1] ?? '';
  if (bucket === '') throw bad(url, 'it names no bucket', 'Write s3://bucket/prefix.');
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$/.test(bucket)) {
    throw bad(
      url,
      `${JSON.stringify(bucket)} is no bucket name`,
      bucket.includes(':')
        ? 'A port belongs to ?endpoint=…, not after the bucket.'
        : 'It has 3 to 63 lower-case letters, digits, hyphens and dots: write s3://bucket/prefix.',
    );
  }
  const prefix = decode(url, parsed.pathname).replace(/^\/+|\/+$/g, '');
  if (prefix.split('/').some((part) => part === '.' || part === '..') || prefix.includes('//')) {
    throw bad(url, 'the prefix has an empty part, . or ..', 'Write s3://bucket/prefix.');
  }
  return { scheme: 's3', bucket, prefix, ...parseS3Parameters(url, parsed.searchParams) };
}

function parseS3Parameters(
  url: string,
  parameters: URLSearchParams,
): Omit<S3ReplicaUrl, 'scheme' | 'bucket' | 'prefix'> {
  for (const name of parameters.keys()) {
    if (!isOneOf(S3_PARAMETERS, name)) {
      throw bad(url, `unknown parameter ${JSON.stringify(name)}`, suggest(name, S3_PARAMETERS));
    }
    if (parameters.getAll(name).length > 1) throw bad(url, `${name} is given twice`, 'Keep one of them.');
  }
  const endpoint = parameters.get('endpoint');
  const region = parameters.get('region');
  const forcePathStyle = parameters.get('forcePathStyle');
  if (endpoint !== null) checkEndpoint(url, endpoint);
  if (region !== null && !/^[A-Za-z0-9-]{1,64}$/.test(region)) {
    throw bad(url, `${JSON.stringify(region)} is no region`, 'Write for example region=eu-central-1.');
  }
  if (forcePathStyle !== null && forcePathStyle !== 'true' && forcePathStyle !== 'false') {
    throw bad(url, `forcePathStyle is ${JSON.stringify(forcePathStyle)}`, 'Write true or false.');
  }
  return {
    ...(endpoint === null ? {} : { endpoint }),
    ...(region === null ? {} : { region }),
    ...(forcePathStyle === null ? {} : { forcePathStyle: forcePathStyle === 'true' }),
  };
}

function checkEndpoint(url: string, endpoint: string): void {
  const hint = 'Write endpoint=http://host:port or endpoint=https://host.';
  if (!/^https?:\/\//i.test(endpoint) || !URL.canParse(endpoint))
    throw bad(url, 'the endpoint is no http(s) URL', hint);
  const { username, password, search, hash } = new URL(endpoint);
  if (username !== '' || password !== '') {
    throw bad(url, 'the endpoint holds credentials', 'Give them by the environment or a profile.');
  }
  if (search !== '' || hash !== '') throw bad(url, 'the endpoint has parameters of its own', hint);
}

/** The URL without what could be secret: credentials, in the URL itself or in its endpoint, and unknown parameters. */
export function redactUrl(url: string): string {
  const scheme = /^[A-Za-z][A-Za-z0-9+.-]*:/.exec(url)?.[0] ?? '';
  const [place = '', query] =
    url
      .slice(scheme.length)
      .split('#', 1)[0]
      ?.split(/\?(.*)/s, 2) ?? [];
  const parameters = [...new URLSearchParams(query ?? '')].map(
    ([name, value]) => `${name}=${isOneOf(S3_PARAMETERS, name) ? redactAuthority(value) : '…'}`,
  );
  return `${scheme}${redactAuthority(place)}${parameters.length === 0 ? '' : `?${parameters.join('&')}`}`;
}

const redactAuthority = (text: string): string => text.replace(/(^|:)\/\/[^/?#]*@/, '$1//…@');

function decode(url: string, path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw bad(url, 'a % is not followed by two hex digits', 'Write %25 for a % in the name.');
  }
}

function unknownScheme(url: string, scheme: string): ConfigurationError {
  const known = `Known: ${SCHEMES.map((name) => `${name}:`).join(', ')}.`;
  const nearest = SCHEMES.find((name) => distance(scheme, name) <= 2);
  return bad(url, `${scheme}: is not a kind of store`, nearest ? `Did you mean ${nearest}:? ${known}` : known);
}

function suggest(name: string, known: readonly string[]): string {
  const [nearest] = [...known].sort(
    (a, b) => distance(name.toLowerCase(), a.toLowerCase()) - distance(name.toLowerCase(), b.toLowerCase()),
  );
  return `Did you mean ${nearest}? Known: ${known.join(', ')}.`;
}

const isOneOf = <T extends string>(known: readonly T[], value: string): value is T =>
  known.some((name) => name === value);

const bad = (url: string, why: string, hint: string): ConfigurationError =>
  new ConfigurationError(`bad destination ${JSON.stringify(redactUrl(url))}: ${why}`, {
    hint,
    facts: { url: redactUrl(url) },
  });
