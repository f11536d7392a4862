/** The configuration as it is in force, as YAML that this program reads again, secrets left out. */
import { stringify } from 'yaml';
import { redactUrl } from '../replica/registry.ts';
import type { Config, ListenAddress } from './config.ts';
import type { Origin } from './load.ts';
import { formatDuration, formatSize } from './units.ts';

export const formatListenAddress = ({ host, port }: ListenAddress): string =>
  `${host.includes(':') ? `[${host}]` : host}:${port}`;

/** A scalar as YAML on one line; `${` is escaped as the reader wants it. */
function scalar(value: string): string {
  const escaped = value.replaceAll('${', () => '$${');
  // Double quotes with JSON's escapes are YAML too, and stay on one line.
  return escaped.includes('\n') ? JSON.stringify(escaped) : stringify(escaped, { lineWidth: 0 }).trimEnd();
}

const ORIGIN_COLUMN = 44;

export interface FormatConfigOptions {
  /** Where each value came from, by its name: a comment at the end of its line. */
  readonly origins?: ReadonlyMap<string, Origin>;
}

export function formatConfig(config: Config, { origins }: FormatConfigOptions = {}): string {
  const lines: string[] = [];
  const put = (line: string, name?: string): void => {
    const origin = name === undefined ? undefined : origins?.get(name);
    lines.push(origin === undefined ? line : `${line.padEnd(ORIGIN_COLUMN)}  # ${origin}`);
  };
  put(config.addr ? `addr: ${scalar(formatListenAddress(config.addr))}` : '# addr: not served', 'addr');
  put(
    config.owner === null ? '# owner: the machine id, else the host name' : `owner: ${scalar(config.owner)}`,
    'owner',
  );
  put(`takeover: ${config.takeover}`, 'takeover');
  put(`lease-ttl: ${formatDuration(config.leaseTtlMs)}`, 'lease-ttl');
  put(`shutdown-timeout: ${formatDuration(config.shutdownTimeoutMs)}`, 'shutdown-timeout');
  put(`memory: ${formatSize(config.memoryBytes)}`, 'memory');
  put(`compression-level: ${config.compressionLevel}`, 'compression-level');
  put(`request-timeout: ${formatDuration(config.requestTimeoutMs)}`, 'request-timeout');
  put('log:');
  put(`  level: ${config.log.level}`, 'log.level');
  put(`  format: ${config.log.format}`, 'log.format');
  put('levels:', 'levels');
  for (const { intervalMs } of config.levels) put(`  - interval: ${formatDuration(intervalMs)}`);
  const { drill } = config;
  put(drill === null ? '# drill: none' : 'drill:', 'drill');
  if (drill !== null) {
    put(`  every: ${formatDuration(drill.everyMs)}`, 'drill.every');
    put(drill.exec === null ? '  # exec: none' : `  exec: ${scalar(drill.exec)}`, 'drill.exec');
    put(`  exec-timeout: ${formatDuration(drill.execTimeoutMs)}`, 'drill.exec-timeout');
    const scratch =
      drill.scratch === null ? "# scratch: the system's temporary directory" : `scratch: ${scalar(drill.scratch)}`;
    put(`  ${scratch}`, 'drill.scratch');
  }
  put(config.dbs.length === 0 ? '# dbs: none' : 'dbs:', 'dbs');
  for (const { path, replicas, extraFiles } of config.dbs) {
    put(`  - path: ${scalar(path)}`);
    put('    replicas:');
    for (const { url } of replicas) put(`      - url: ${scalar(redactUrl(url))}`);
    if (extraFiles.length > 0) put('    extra-files:');
    for (const file of extraFiles) put(`      - ${scalar(file)}`);
  }
  return `${lines.join('\n')}\n`;
}
