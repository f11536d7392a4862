/** What the configuration says once it is read, checked and complete: plain values, durations in ms, sizes in bytes. */

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFormat = 'auto' | 'pretty' | 'json';

export interface ListenAddress {
  readonly host: string;
  /** 0 lets the system choose one. */
  readonly port: number;
}

export interface DatabaseConfig {
  /** Absolute, without `.` and `..` parts and without a trailing slash. */
  readonly path: string;
  readonly replica: {
    /** As written, variables expanded. May carry credentials: show it through `redactUrl` alone. */
    readonly url: string;
  };
}

export interface Config {
  /** Where metrics and health are served; null: nowhere. */
  readonly addr: ListenAddress | null;
  /** `owner`, else POD_NAME; null: the machine id, else the host name, which the daemon reads. */
  readonly owner: string | null;
  readonly leaseTtlMs: number;
  readonly shutdownTimeoutMs: number;
  readonly memoryBytes: number;
  readonly compressionLevel: number;
  readonly requestTimeoutMs: number;
  readonly log: { readonly level: LogLevel; readonly format: LogFormat };
  /** Level 0 alone in this release. */
  readonly levels: readonly { readonly intervalMs: number }[];
  readonly dbs: readonly DatabaseConfig[];
}
