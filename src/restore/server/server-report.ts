/** What a restore of a whole server data directory tells when it is done: plain data. */
import type { Micros } from '../../core/types.ts';
import type { ImageManifest } from '../../layout/image-manifest.ts';
import type { GenerationName } from '../../layout/keys.ts';
import type { ImageName } from '../../layout/server-keys.ts';
import type { RestoreReport } from '../restore-report.ts';
import type { ListedImage } from './read-server-store.ts';

export interface ImageReport {
  readonly generation: GenerationName;
  readonly name: ImageName;
  /** When it was copied, by the writer's clock. */
  readonly time: Micros;
  readonly files: number;
  readonly programs: number;
  /** Names in `extra/`: for the operator to put where they belong. */
  readonly extraFiles: readonly string[];
}

export interface ReplicaReport extends RestoreReport {
  readonly replicaId: bigint;
}

export interface MissingReplica {
  readonly replicaId: bigint;
  readonly reason: string;
}

export interface ServerRestoreReport {
  readonly outcome: RestoreReport['outcome'];
  /** Null where the store was not asked. */
  readonly image: ImageReport | null;
  /** Those that were, or would be, restored; by rising id. */
  readonly replicas: readonly ReplicaReport[];
  /** Databases of the image that were not restored. */
  readonly missing: readonly MissingReplica[];
  /** Newer images that were passed over, since not all of their databases have a recovery point. */
  readonly passedOver: readonly {
    readonly name: ImageName;
    readonly time: Micros;
    readonly missing: readonly bigint[];
  }[];
  readonly plainBytes: number;
  readonly fetchedBytes: number;
  readonly durationMs: number;
  /** What an operator must hear of although the restore succeeded: whole sentences. */
  readonly warnings: readonly string[];
}

const EXTRA = /^extra\/(.+)$/;

export function reportImage({ generation, image }: ListedImage, manifest: ImageManifest): ImageReport {
  return {
    generation,
    name: image.name,
    time: image.time,
    files: manifest.files.length,
    programs: manifest.programs.length,
    extraFiles: manifest.files.flatMap(({ path }) => EXTRA.exec(path)?.[1] ?? []),
  };
}
