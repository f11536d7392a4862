/** What the configuration says once it is read, checked and complete: plain values, durations in ms, sizes in bytes. */

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFormat = 'auto' | 'pretty' | 'json';

export interface ListenAddress {
  readonly host: string;
  /** 0 lets the system choose one. */
  readonly port: number;
}

export interface ReplicaConfig {
  /** As written, variables expanded. May carry credentials: show it through `redactUrl` alone. */
  readonly url: string;
}

/** A database or a whole server as arguments can name it. */
export interface DatabaseArgument {
  /** Absolute, without `.` and `..` parts and without a trailing slash. */
  readonly path: string;
  /** At least one, and none twice. */
  readonly replicas: readonly ReplicaConfig[];
}

/** One database, or a server data directory with all of its databases. */
export interface DatabaseConfig extends DatabaseArgument {
  /** Absolute paths of files that go with each image of a server data directory; their last parts are unique. */
  readonly extraFiles: readonly string[];
}

/** Drills in the daemon. */
export interface DrillConfig {
  readonly everyMs: number;
  /** Run by `sh -c` on what was restored; null: nothing is. */
  readonly exec: string | null;
  readonly execTimeoutMs: number;
  /** Absolute; null: the system's directory for temporary files. */
  readonly scratch: string | null;
}

export interface Config {
  /** Where metrics and health are served; null: nowhere. */
  readonly addr: ListenAddress | null;
  /** `owner`, else POD_NAME; null: the machine id, else the host name, which the daemon reads. */
  readonly owner: string | null;
  /** Whether a backup of another owner may be taken over. */
  readonly takeover: boolean;
  readonly leaseTtlMs: number;
  readonly shutdownTimeoutMs: number;
  readonly memoryBytes: number;
  readonly compressionLevel: number;
  readonly requestTimeoutMs: number;
  readonly log: { readonly level: LogLevel; readonly format: LogFormat };
  /** Level 0 alone in this release. */
  readonly levels: readonly { readonly intervalMs: number }[];
  /** Null: none are done. */
  readonly drill: DrillConfig | null;
  readonly dbs: readonly DatabaseConfig[];
}
