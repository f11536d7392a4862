/** Finds the image that a server is rebuilt from, and a plan for each of its databases: reads what the choice asks for. */
import {
  assert,
  CorruptionError,
  NoBackupError,
  type ReplicateError,
  UnrecoverablePointError,
} from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import { decodeImageManifest, IMAGE_MANIFEST_BYTES_MAX, type ImageManifest } from '../../layout/image-manifest.ts';
import { formatTimestamp } from '../../layout/time.ts';
import type { ReplicaClient } from '../../replica/replica-client.ts';
import { DatabaseRestore } from '../database-restore.ts';
import type { FetchOptions } from '../fetch-parts.ts';
import { isUnusable } from '../follow-plan.ts';
import type { RestorePlan } from '../plan-types.ts';
import type { PointRequest } from '../point-request.ts';
import type { ProgressMeter } from '../progress-meter.ts';
import { readOrNull } from '../read-store.ts';
import { type PlanFacts, planFacts } from '../restore-report.ts';
import { chooseImage, type ImageState, type PassedOver, type ReplicaState } from './choose-image.ts';
import { imagesOfLine } from './image-line.ts';
import {
  findEmptiedReplica,
  findStoredReplica,
  type ListedImage,
  readServerStore,
  type ServerView,
} from './read-server-store.ts';

export interface PlanServerOptions {
  /** Of the destination. */
  readonly root: ReplicaClient;
  /** Its client's keys are relative to `server/`. */
  readonly fetch: FetchOptions;
  /** What it takes to restore one database; its meter is told of nothing before its turn. */
  readonly openReplica: (replicaId: bigint) => { readonly fetch: FetchOptions; readonly progress: ProgressMeter };
  /** Of the images: another line than the head's. */
  readonly generation?: string | undefined;
  /** Of each database; and the image is the newest one at or before it. Default: the newest. */
  readonly point?: PointRequest | undefined;
  readonly partial: boolean;
  /** Told of each plan, once. */
  readonly onPlan?: (replicaId: bigint, plan: RestorePlan) => void;
  readonly log: Log;
  readonly warn: (message: string) => void;
}

/** The plan itself is not kept: those of all databases of a server at once may be more than memory holds. */
export interface PlannedReplica {
  readonly replicaId: bigint;
  readonly database: DatabaseRestore;
  readonly progress: ProgressMeter;
  readonly summary: PlanFacts;
  readonly work: Pick<RestorePlan, 'workBytes' | 'workObjects' | 'plainBytesMin'>;
}

export interface ServerPlan {
  readonly image: ListedImage;
  readonly manifest: ImageManifest;
  readonly files: ServerView['files'];
  readonly replicas: readonly PlannedReplica[];
  readonly missing: readonly { readonly replicaId: bigint; readonly error: Error }[];
  readonly passedOver: readonly PassedOver[];
}

export class ServerPlanner {
  readonly #options: PlanServerOptions;
  readonly #manifests = new Map<string, ImageManifest>();
  readonly #known = new Map<string, ImageState>();
  readonly #states = new Map<bigint, ReplicaState>();
  readonly #planned = new Map<bigint, PlannedReplica>();
  #view: ServerView | null = null;

  constructor(options: PlanServerOptions) {
    this.#options = options;
  }

  /**
   * To be asked again after an image turned out to be unusable; plans of databases are kept.
   *
   * @throws NoBackupError, UnrecoverablePointError naming the databases without a recovery point, CorruptionError,
   * UsageError, and what the client throws
   */
  async plan(): Promise<ServerPlan> {
    const { fetch, log, partial } = this.#options;
    const view = (this.#view ??= await readServerStore({ ...fetch, log }));
    if (view.images.size === 0) await this.#requireNothing(view);
    const images = this.#notLater(imagesOfLine(view, { ...this.#options, source: this.#options.root.url }));
    for (;;) {
      const known = { known: this.#known, replicas: this.#states };
      const choice = chooseImage({ images, ...known, partial });
      switch (choice.kind) {
        case 'need-image':
          await this.#readImage(choice.image);
          break;
        case 'need-replica':
          await this.#planReplica(choice.replicaId);
          break;
        case 'chosen':
          return this.#toPlan(choice, view);
        case 'damaged':
          throw damagedError(choice.replicaId, choice.error);
        case 'none':
          throw this.#noneError(choice.passedOver);
      }
    }
  }

  /** @throws UnrecoverablePointError where all images are later than the asked time */
  #notLater(images: readonly ListedImage[]): readonly ListedImage[] {
    const { point } = this.#options;
    if (point === undefined) return images;
    assert(point.kind === 'timestamp', 'a whole server has no transactions of its own');
    const found = images.filter(({ image }) => image.time <= point.time);
    const first = images.at(-1);
    if (found.length > 0 || first === undefined) return found;
    throw new UnrecoverablePointError(
      `there is no image of the server data directory at or before ${formatTimestamp(point.time)}: the first one is of ${formatTimestamp(first.image.time)}`,
      {
        hint: 'Give -timestamp that time or a later one. Single databases are restored to earlier times with -replica-id.',
        facts: { image: first.image.name },
      },
    );
  }

  /** Databases without an image are no empty place: a server must not be started as if they had never been. */
  async #requireNothing({ documents }: ServerView): Promise<void> {
    const { root, fetch } = this.#options;
    const replicaId = await findStoredReplica({ client: root, signal: fetch.signal });
    if (replicaId === null) {
      const emptied = await findEmptiedReplica({ client: root, signal: fetch.signal });
      const hadImages = [...documents.values()].some(({ parent }) => parent !== null);
      if (emptied === null && !hadImages) return;
      throw emptiedError(root.url, emptied);
    }
    throw new UnrecoverablePointError(
      `${root.url} holds databases (replica ${replicaId}), but no image of the server that they belong to`,
      {
        hint: 'Single databases are restored with -replica-id. An image is stored once `replicate` has seen the whole directory.',
        facts: { url: root.url, replica: replicaId.toString() },
      },
    );
  }

  /** An image turned out to be damaged or incomplete: the next plan does without it. */
  noteUnusable({ key, image }: ListedImage, reason: Error): void {
    this.#known.set(key, { unusable: reason });
    this.#options.warn(
      `The image of ${formatTimestamp(image.time)} cannot be used, and the restore goes on without it: ${reason.message}.`,
    );
  }

  #toPlan(
    {
      image,
      missing,
      passedOver,
    }: { image: ListedImage; missing: readonly bigint[]; passedOver: readonly PassedOver[] },
    { files }: ServerView,
  ): ServerPlan {
    const manifest = this.#manifests.get(image.key);
    if (manifest === undefined) throw new TypeError('an image is chosen by its manifest');
    const replicas = manifest.replicas.flatMap(({ replicaId }) => this.#planned.get(replicaId) ?? []);
    const failed = missing.map((replicaId) => ({ replicaId, error: this.#errorOf(replicaId) }));
    return { image, manifest, files, replicas, missing: failed, passedOver };
  }

  async #readImage(listed: ListedImage): Promise<void> {
    const { key } = listed;
    try {
      const bytes = await readOrNull(key, { ...this.#options.fetch, bytesMax: IMAGE_MANIFEST_BYTES_MAX });
      if (bytes === null) throw new CorruptionError(`${key} is gone`, { facts: { key } });
      const manifest = decodeImageManifest(bytes, { key });
      this.#manifests.set(key, manifest);
      this.#known.set(key, { replicas: manifest.replicas.map(({ replicaId }) => replicaId) });
    } catch (error) {
      if (!isUnusable(error)) throw error;
      this.noteUnusable(listed, error);
    }
  }

  async #planReplica(replicaId: bigint): Promise<void> {
    const { openReplica, log, onPlan, point } = this.#options;
    const { fetch, progress } = openReplica(replicaId);
    const database = new DatabaseRestore({ fetch, progress, point, log: log.child({ replica: replicaId.toString() }) });
    try {
      const plan = await database.plan();
      onPlan?.(replicaId, plan);
      const { workBytes, workObjects, plainBytesMin } = plan;
      const work = { workBytes, workObjects, plainBytesMin };
      this.#planned.set(replicaId, { replicaId, database, progress, summary: planFacts(plan), work });
      database.forget();
      this.#states.set(replicaId, { kind: 'ready' });
    } catch (error) {
      const lost = error instanceof NoBackupError ? this.#lostOf(replicaId, error) : null;
      if (lost !== null) {
        this.#states.set(replicaId, { kind: 'damaged', error: lost });
      } else if (error instanceof NoBackupError || error instanceof UnrecoverablePointError) {
        this.#states.set(replicaId, { kind: 'missing', error });
      } else if (isUnusable(error)) {
        this.#states.set(replicaId, { kind: 'damaged', error });
      } else throw error;
    }
  }

  /** Of a database that is not there although an image tells how far it was stored; null where none does. */
  #lostOf(replicaId: bigint, cause: NoBackupError): CorruptionError | null {
    for (const { replicas } of this.#manifests.values()) {
      const position = replicas.find((replica) => replica.replicaId === replicaId)?.position ?? null;
      if (position === null) continue;
      return new CorruptionError(`${cause.message}, and an image tells that it was stored up to ${position.tx}`, {
        cause,
        facts: { ...cause.facts, tx: position.tx },
        hint: 'Somebody, or a rule of the bucket that lets objects expire, removed it: look for older versions of the objects.',
      });
    }
    return null;
  }

  #errorOf(replicaId: bigint): Error {
    const state = this.#states.get(replicaId);
    if (state === undefined || state.kind === 'ready') throw new TypeError('a missing database has a reason');
    return state.error;
  }

  #noneError(passedOver: readonly PassedOver[]): ReplicateError {
    const [newest] = passedOver;
    if (newest === undefined) {
      const reasons = [...this.#known.values()].flatMap((state) => ('unusable' in state ? [state.unusable] : []));
      return new CorruptionError(`no undamaged image of the server data directory is left: ${reasons[0]?.message}`, {
        cause: reasons[0],
        hint: 'Look for older versions of that object in the store. Single databases are restored with -replica-id.',
      });
    }
    const each = newest.missing.map((replicaId) => `replica ${replicaId} (${this.#errorOf(replicaId).message})`);
    return new UnrecoverablePointError(
      `not all databases of the server have a recovery point: ${each.join('; ')} ${each.length === 1 ? 'has' : 'have'} none`,
      {
        hint: 'With -partial the others are restored. A server silently creates the missing ones anew, empty.',
        facts: { image: newest.image.image.name, missing: newest.missing.join(',') },
      },
    );
  }
}

/** An empty place and one that was emptied look alike but for documents. @param replicaId whose head tells of commits */
function emptiedError(url: string, replicaId: bigint | null): CorruptionError {
  const by = replicaId === null ? 'a generation of its images' : `the head of replica ${replicaId}`;
  return new CorruptionError(`all that was stored in ${url} is gone: ${by} tells that there was something`, {
    hint: 'Somebody, or a rule of the bucket that lets objects expire, removed it: look for older versions of the objects, and for another copy. A server that is started on an empty directory begins anew.',
    facts: { url },
  });
}

/** The other databases may be whole: what kind of failure it is stays. */
function damagedError(replicaId: bigint, error: Error): Error {
  if (!(error instanceof CorruptionError)) return error;
  return new CorruptionError(`the database of replica ${replicaId} cannot be restored: ${error.message}`, {
    cause: error,
    hint: `${error.hint ?? ''} With -partial the other databases are restored; a server silently creates this one anew, empty.`.trim(),
    facts: { ...error.facts, replica: replicaId.toString() },
  });
}
