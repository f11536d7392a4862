/**
 * A directory as a store: one file for each key. Conditional writes in full, among all processes that use this client
 * on the same file system. Deleting takes no lock: only immutable objects are ever deleted.
 */
import { lstat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { fsyncDirectory } from '../../core/atomic-file.ts';
import { assert, errorMessage, systemCode } from '../../core/errors.ts';
import { Deadline } from '../deadline.ts';
import { checkRange, resolveRange } from '../put-body.ts';
import {
  type CallOptions,
  type DeleteFailure,
  type GetOptions,
  type ListedObject,
  type ListOptions,
  type ObjectFacts,
  ObjectNotFoundError,
  type ObjectVersion,
  openBody,
  PreconditionFailedError,
  type PutBody,
  type PutOptions,
  type ReplicaClient,
  type StoredObject,
} from '../replica-client.ts';
import { fileStoreError } from './file-errors.ts';
import { walkKeys } from './file-listing.ts';
import { acquireFileLock } from './file-lock.ts';
import { FilePaths } from './file-paths.ts';
import { UnpublishedFile } from './file-publish.ts';
import { sweepTemporaries } from './file-sweep.ts';
import { FileBody, type OpenedObject, openObject } from './file-read.ts';

/** A sweep that is under way when the client is closed is given this long. */
const SWEEP_GRACE_MS = 2_000;

export interface FileReplicaClientOptions {
  /** Make the root, once, when it is not there. Otherwise a missing root is a StoreNotFoundError. */
  readonly create?: boolean;
  /** For each call; for a body, between two chunks. Default 30 s. */
  readonly requestTimeoutMs?: number;
}

export class FileReplicaClient implements ReplicaClient {
  readonly url: string;
  readonly conditional = 'full';
  readonly #paths: FilePaths;
  readonly #timeoutMs: number;
  readonly #create: boolean;
  #rootMade: Promise<void> | undefined;
  /** Begun by the first write, and waited for by `close`. */
  #sweep: Promise<unknown> | undefined;
  readonly #ended = new AbortController();
  #closed = false;

  /** @param root an absolute path */
  constructor(root: string, { create = false, requestTimeoutMs = 30_000 }: FileReplicaClientOptions = {}) {
    this.url = pathToFileURL(root).href;
    this.#paths = new FilePaths(root.replace(/(?<=.)\/+$/, ''));
    this.#timeoutMs = requestTimeoutMs;
    this.#create = create;
  }

  async put(key: string, body: PutBody, options: PutOptions = {}): Promise<{ version: ObjectVersion }> {
    const path = this.#paths.pathOf(key);
    const source = new Source(body);
    return this.#call('write', path, options.signal, async (deadline) => {
      await this.#prepareDirectory(path);
      await using file = await UnpublishedFile.write(path, source.chunks(), {
        signal: deadline.signal,
        onProgress: () => deadline.touch(),
      });
      await this.#publish(file, path, { ...options, key, deadline });
      this.#sweep ??= this.#sweepLeftovers(path);
      return { version: file.version };
    }).catch((error: unknown) => {
      throw source.failure ?? error;
    });
  }

  /**
   * Beside the work, once for each client. What cannot be swept now is swept by a later process: that is no failure of
   * the call that began it.
   */
  async #sweepLeftovers(justWritten: string): Promise<void> {
    try {
      const { mtimeMs: nowMs } = await lstat(justWritten);
      await sweepTemporaries(this.#paths.root, { signal: this.#ended.signal, nowMs });
    } catch {
      // Leftovers cost room and nothing else; the reason, if it lasts, fails the calls that matter.
    }
  }

  /** A new name needs no lock; taking over a name does, so that no compare-and-swap ever overlooks another write. */
  async #publish(
    file: UnpublishedFile,
    path: string,
    { ifAbsent, ifMatch, key, deadline }: PutOptions & { key: string; deadline: Deadline },
  ): Promise<void> {
    if (ifMatch === undefined && (await file.create(path))) return;
    if (ifAbsent) throw new PreconditionFailedError(`${key} exists already`, { facts: { key, path } });
    await using _lock = await acquireFileLock(path, {
      signal: deadline.signal,
      timeoutMs: this.#timeoutMs,
      onWait: () => deadline.touch(),
    });
    if (ifMatch !== undefined) {
      await using present = await openObject(path);
      if (present?.version !== ifMatch) {
        throw new PreconditionFailedError(`${key} is another version`, { facts: { key, path } });
      }
    }
    deadline.signal.throwIfAborted();
    await file.replace(path);
  }

  async get(key: string, options: GetOptions = {}): Promise<StoredObject> {
    if (options.range) checkRange(options.range);
    const path = this.#paths.pathOf(key);
    const object = await this.#call('read', path, options.signal, () => this.#open(key, path), {
      discard: (late) => late[Symbol.asyncDispose](),
    });
    try {
      const { version, size, content } = object;
      if (options.ifMatch !== undefined && version !== options.ifMatch) {
        throw new PreconditionFailedError(`${key} is another version`, { facts: { key, path } });
      }
      const range = resolveRange(options.range, size);
      if (content) {
        await object[Symbol.asyncDispose]();
        return { version, size, body: onlyChunk(content.subarray(range.start, range.endExclusive), options.signal) };
      }
      const call = <T>(work: Promise<T>): Promise<T> => this.#call('read', path, options.signal, () => work);
      return { version, size, body: new FileBody(object, { path, range, call }), givesChunksAway: true };
    } catch (error) {
      await object[Symbol.asyncDispose]();
      throw error;
    }
  }

  async head(key: string, options: CallOptions = {}): Promise<ObjectFacts> {
    const path = this.#paths.pathOf(key);
    return this.#call('read', path, options.signal, async () => {
      await using object = await this.#open(key, path);
      return { version: object.version, size: object.size };
    });
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncIterable<ListedObject> {
    const { root } = this.#paths;
    const { signal = new AbortController().signal, startAfter } = options;
    const call = <T>(work: Promise<T>): Promise<T> => this.#call('list', root, signal, () => work);
    await this.#call('list', root, signal, () => this.#paths.requireRoot());
    yield* walkKeys({ root, prefix, startAfter, signal, call });
  }

  async delete(keys: readonly string[], options: CallOptions = {}): Promise<readonly DeleteFailure[]> {
    const failures: DeleteFailure[] = [];
    const directories = new Set<string>();
    await this.#call('list', this.#paths.root, options.signal, () => this.#paths.requireRoot());
    for (const key of keys) {
      const path = this.#paths.pathOf(key);
      try {
        await this.#call('delete', path, options.signal, () => this.#remove(path));
        directories.add(dirname(path));
      } catch (error) {
        options.signal?.throwIfAborted();
        failures.push({ key, error: error instanceof Error ? error : new Error(errorMessage(error)) });
      }
    }
    for (const path of directories) {
      await this.#call('sync', path, options.signal, () => unlessAbsent(fsyncDirectory(path)));
    }
    return failures;
  }

  async close(): Promise<void> {
    this.#closed = true;
    const late = setTimeout(() => this.#ended.abort(), SWEEP_GRACE_MS);
    await Promise.race([this.#sweep, new Promise((resolve) => this.#ended.signal.addEventListener('abort', resolve))]);
    clearTimeout(late);
    this.#ended.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @throws ObjectNotFoundError below an existing root, StoreNotFoundError without one */
  async #open(key: string, path: string): Promise<OpenedObject> {
    const linkFree = await unlessAbsent(this.#paths.refuseLinks(path).then(() => true));
    const object = linkFree ? await openObject(path) : null;
    if (object) return object;
    await this.#paths.requireRoot();
    throw new ObjectNotFoundError(`${key} is not in ${this.url}`, { facts: { key, path } });
  }

  async #prepareDirectory(path: string): Promise<void> {
    if ((await unlessAbsent(this.#paths.refuseLinks(path).then(() => true))) !== null) return;
    await this.#paths.makeParents(path);
    await this.#paths.refuseLinks(path);
  }

  async #remove(path: string): Promise<void> {
    const linkFree = await unlessAbsent(this.#paths.refuseLinks(path).then(() => true));
    if (linkFree) await unlessAbsent(unlink(path));
  }

  /** One deadline, one mapping of errors, the root made before the first call. */
  async #call<T>(
    action: string,
    path: string,
    signal: AbortSignal | undefined,
    work: (deadline: Deadline) => Promise<T>,
    options: { discard?: (late: T) => unknown } = {},
  ): Promise<T> {
    assert(!this.#closed, `${action} by a closed client of ${this.url}`);
    using deadline = new Deadline({ timeoutMs: this.#timeoutMs, what: `${action} ${path}`, signal });
    try {
      if (this.#create) await deadline.race((this.#rootMade ??= this.#paths.createRoot()));
      return await deadline.race(work(deadline), options);
    } catch (error) {
      throw fileStoreError(action, path, error);
    }
  }
}

/** A body, and what its own reading failed with: that is no failure of this store. */
class Source {
  readonly #body: PutBody;
  failure: unknown;

  constructor(body: PutBody) {
    this.#body = body;
  }

  async *chunks(): AsyncIterable<Uint8Array> {
    try {
      yield* openBody(this.#body);
    } catch (error) {
      this.failure = error;
      throw error;
    }
  }
}

/** Where a part of the path is missing, or is a file, or where its end is a directory, there is no such object. */
const ABSENT = new Set(['ENOENT', 'ENOTDIR', 'EISDIR']);

async function unlessAbsent<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work;
  } catch (error) {
    if (ABSENT.has(systemCode(error) ?? '')) return null;
    throw error;
  }
}

async function* onlyChunk(bytes: Uint8Array, signal: AbortSignal | undefined): AsyncIterable<Uint8Array> {
  signal?.throwIfAborted();
  if (bytes.byteLength > 0) yield bytes;
}
