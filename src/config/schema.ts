/** Every option of this release, declared once. What does not work yet is not here, and so is an unknown key. */
import { z } from 'zod';
import { absolutePath, duration, listenAddress, option, size, text } from './option.ts';

const SECOND_MS = 1_000;
const HOUR_MS = 3_600_000;
const MIB = 2 ** 20;
const REPLICAS_MAX = 16;
const EXTRA_FILES_MAX = 64;

const logSchema = z.strictObject({
  level: option(z.enum(['debug', 'info', 'warn', 'error']).prefault('info'), {
    description: 'The least severe lines that are written. At info the log tells changes of state alone.',
    flag: 'log-level',
  }),
  format: option(z.enum(['auto', 'pretty', 'json']).prefault('auto'), {
    description: 'How lines look; auto is pretty on a terminal and JSON elsewhere.',
    flag: 'log-format',
  }),
});

const levelSchema = z.strictObject({
  interval: option(duration({ min: 100, max: HOUR_MS }), {
    description:
      'How often what was committed is stored while the database is busy: what a crash of this machine can lose.',
    example: '1s',
  }),
});

const drillSchema = z.strictObject({
  every: option(duration({ min: SECOND_MS, max: 366 * 24 * HOUR_MS }), {
    description: 'How often each database, or whole server, is restored from each of its destinations.',
    example: '24h',
  }),
  exec: option(text().optional(), {
    description:
      'A command that `sh -c` runs on what was restored: the directory is in STDB_DRILL_DIR, the transaction in STDB_DRILL_TX. Another status than 0 fails the drill.',
    example: 'test -d "$STDB_DRILL_DIR/clog"',
    defaultNote: 'none',
  }),
  'exec-timeout': option(duration({ min: SECOND_MS, max: 24 * HOUR_MS }).prefault('10m'), {
    description: 'How long that command may take.',
  }),
  scratch: option(absolutePath().optional(), {
    description: 'Where the directory is made that is removed again. It needs space for the whole database, or server.',
    example: '/mnt/scratch',
    defaultNote: "the system's directory for temporary files",
  }),
});

const replicaSchema = (example: string) =>
  z.strictObject({
    url: option(text(), {
      description: 'Where its backup lies: s3://bucket/prefix?endpoint=…&region=…&forcePathStyle=true or file:///path.',
      example,
    }),
  });

const databaseFields = z.strictObject({
  path: option(absolutePath(), {
    description:
      'A server data directory (it has replicas/ in it) with all of its databases, or the directory of one database (it has clog/ in it).',
    example: '/stdb/data',
  }),
  replica: option(replicaSchema('s3://my-backups/game-0?region=eu-central-1').optional(), {
    description: 'The destination, where there is one.',
  }),
  replicas: option(z.array(replicaSchema('file:///backup/game-0')).min(1).max(REPLICAS_MAX).optional(), {
    description: 'Several destinations in place of `replica`: one that is down keeps no other from going on.',
    defaultNote: 'the one of `replica`',
  }),
  'extra-files': option(z.array(absolutePath()).max(EXTRA_FILES_MAX).optional(), {
    description:
      'Files outside of a server data directory that are stored with it, and restored into DIR/extra: the keys of its tokens, for instance.',
    example: ['/etc/spacetimedb/id_ecdsa', '/etc/spacetimedb/id_ecdsa.pub'],
    defaultNote: 'none',
  }),
});

/** Exactly one of `replica` and `replicas`, which JSON Schema says in its own words. */
export const databaseSchema = databaseFields.superRefine(({ replica, replicas }, context) => {
  if (replica !== undefined && replicas !== undefined) {
    context.addIssue({ code: 'custom', path: ['replicas'], message: 'stands beside replica: keep one of the two' });
  } else if (replica === undefined && replicas === undefined) {
    context.addIssue({
      code: 'custom',
      message: 'there is no destination: add replica, as in replica: {url: "file:///backup"}',
    });
  }
});

export type WrittenDatabase = z.output<typeof databaseSchema>;

/** The file's shape. Its input is what is written, its output what `load.ts` makes a Config of. */
export const configSchema = z.strictObject({
  addr: option(listenAddress().optional(), {
    description: 'HOST:PORT where /livez, /readyz, /metrics and /events (the last lines of the log) are served.',
    example: '127.0.0.1:9090',
    defaultNote: 'not served',
  }),
  owner: option(text().optional(), {
    description:
      'Who may continue this backup. Another owner never takes it over: give each server its own, the same after a restart.',
    example: 'game-0',
    defaultNote: 'POD_NAME, else the machine id, else the host name',
  }),
  takeover: option(z.boolean().prefault(false), {
    description:
      'Whether a backup of another owner is taken over. Only for a move to another machine: take it out again afterwards.',
  }),
  'lease-ttl': option(duration({ min: 5 * SECOND_MS, max: HOUR_MS }).prefault('60s'), {
    description: 'How long another process waits before it takes over from one that fell silent.',
  }),
  'shutdown-timeout': option(duration({ min: SECOND_MS, max: HOUR_MS }).prefault('20s'), {
    description:
      'How long the last sync may take after SIGTERM; then exit 143. Keep it below the grace period of what stops the program.',
  }),
  memory: option(size({ min: 32 * MIB, max: 64 * 1024 * MIB }).prefault('96MiB'), {
    description: 'The byte budget of all buffers. The process itself needs 100 to 180 MiB more.',
    flag: 'memory',
  }),
  'compression-level': option(z.int().min(1).max(19).prefault(1), {
    description: 'The zstd level of what is stored. 3 saves little on log bytes and costs almost four times the CPU.',
  }),
  'request-timeout': option(duration({ min: SECOND_MS, max: HOUR_MS }).prefault('30s'), {
    description: 'How long one request to a store may take before it is tried again.',
  }),
  log: option(logSchema.prefault({}), { description: 'What the program says on stderr.' }),
  levels: option(
    z
      .array(levelSchema)
      .min(1)
      .max(1)
      .prefault([{ interval: '1s' }]),
    {
      description: 'How often log objects are written. One entry in this release.',
    },
  ),
  drill: option(drillSchema.optional(), {
    description:
      'Scheduled proof that what is stored can be restored: into a scratch directory, one at a time, spread over the period. A drill that fails makes the health degraded.',
    defaultNote: 'no drills',
  }),
  dbs: option(z.array(databaseSchema).min(1), {
    description: 'The databases, or whole servers, and where each is replicated to.',
  }),
});

/** The same for commands that take databases from their arguments, or need none. */
export const configSchemaWithoutDatabases = configSchema.partial({ dbs: true });

export type CheckedConfig = z.output<typeof configSchemaWithoutDatabases>;
