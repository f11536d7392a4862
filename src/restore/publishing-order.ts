/**
 * What a restore publishes, by name, in the order in which it is renamed into a target that is filled in place: what a
 * server takes for a whole directory comes last. A server that finds `metadata.toml` starts; one that finds snapshots
 * without a log begins a new database.
 */
import { EXTRA } from '../layout/image-path.ts';
import { CLOG_DIR, METADATA_FILE, REPLICAS_DIR, SNAPSHOTS_DIR } from '../spacetimedb/file-names.ts';
import { CONFIG_FILE, CONTROL_DB_DIR, PROGRAM_BYTES_DIR } from '../spacetimedb/server-files.ts';

export const PUBLISHING_ORDER: readonly string[] = [
  // Of a server data directory.
  EXTRA,
  PROGRAM_BYTES_DIR,
  REPLICAS_DIR,
  CONFIG_FILE,
  CONTROL_DB_DIR,
  METADATA_FILE,
  // Of one database.
  SNAPSHOTS_DIR,
  CLOG_DIR,
];
