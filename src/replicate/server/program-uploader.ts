/**
 * Programs, which are content-addressed: each is stored once, proven by its name, before any image that may name it.
 * What does not have the hash of its name is half written or damaged; it is never stored, and looked at again.
 */
import { join } from 'node:path';
import type { ByteBudget } from '../../core/byte-budget.ts';
import { CorruptionError, LocalFileError } from '../../core/errors.ts';
import type { ReadableFiles } from '../../core/readable-files.ts';
import { IMAGE_FILE_BYTES_MAX } from '../../layout/image-manifest.ts';
import { parseServerKey, programKey, PROGRAMS_PREFIX } from '../../layout/server-keys.ts';
import type { ReplicaClient } from '../../replica/replica-client.ts';
import { checkProgram } from '../../spacetimedb/program.ts';
import { readingFrom } from '../../spacetimedb/reading-from.ts';
import { formatProgramPath } from '../../spacetimedb/server-files.ts';
import { encodeFrame } from '../../zstd/frame.ts';
import type { HeadLease } from '../head-lease.ts';

export interface ProgramUploaderOptions {
  readonly files: ReadableFiles;
  readonly dataDirectory: string;
  /** Of `server/`. */
  readonly client: ReplicaClient;
  readonly budget: ByteBudget;
  readonly compressionLevel: number;
  readonly onStored: (hash: string) => void;
}

export interface BadProgram {
  readonly hash: string;
  readonly error: CorruptionError;
}

export interface ProgramPass {
  readonly lease: HeadLease;
  readonly signal: AbortSignal;
}

export class ProgramUploader {
  readonly #options: ProgramUploaderOptions;
  /** Names in the store; null until it has been asked. */
  #stored: Set<string> | null = null;

  constructor(options: ProgramUploaderOptions) {
    this.#options = options;
  }

  /** Whether it is known to be stored. */
  has(hash: string): boolean {
    return this.#stored?.has(hash) ?? false;
  }

  /**
   * Stores what is not stored yet.
   *
   * @returns those that could not be: their bytes are not what their names say
   * @throws LocalFileError; store errors
   */
  async upload(hashes: readonly string[], pass: ProgramPass): Promise<readonly BadProgram[]> {
    if (hashes.length === 0) return [];
    const stored = (this.#stored ??= await this.#list(pass.signal));
    const bad: BadProgram[] = [];
    for (const hash of hashes) {
      if (stored.has(hash)) continue;
      try {
        if (await this.#store(hash, pass)) stored.add(hash);
      } catch (error) {
        if (!(error instanceof CorruptionError)) throw error;
        bad.push({ hash, error });
      }
    }
    return bad;
  }

  async #list(signal: AbortSignal): Promise<Set<string>> {
    const hashes = new Set<string>();
    for await (const { key } of this.#options.client.list(PROGRAMS_PREFIX, { signal })) {
      const parsed = parseServerKey(key);
      if (parsed?.kind === 'program') hashes.add(parsed.hash);
    }
    return hashes;
  }

  /** False when it is gone. */
  async #store(hash: string, { lease, signal }: ProgramPass): Promise<boolean> {
    const { files, dataDirectory, client, budget, compressionLevel, onStored } = this.#options;
    const path = join(dataDirectory, formatProgramPath(hash));
    const facts = await readingFrom(path, () => files.facts(path));
    if (facts?.kind !== 'file') return false;
    if (facts.size > IMAGE_FILE_BYTES_MAX) throw tooLong(path, facts.size);
    // Plain and compressed, which may be a little longer.
    using _ = await budget.take(2 * facts.size + 64 * 1024, { signal });
    const plain = await readingFrom(path, async () => {
      await using file = await files.open(path);
      if (file === null) return null;
      const bytes = new Uint8Array(facts.size);
      return bytes.subarray(0, await file.read(bytes, 0));
    });
    if (plain === null) return false;
    await readingFrom(path, () => checkProgram(hash, plain, { signal }));
    const frame = await encodeFrame(plain, { level: compressionLevel });
    await lease.ensureFresh(null, { signal });
    await client.put(programKey(hash), frame, { signal });
    onStored(hash);
    return true;
  }
}

const tooLong = (path: string, bytes: number): LocalFileError =>
  new LocalFileError(`${path} has ${bytes} bytes; programs of at most ${IMAGE_FILE_BYTES_MAX} are stored`, {
    facts: { path },
  });
