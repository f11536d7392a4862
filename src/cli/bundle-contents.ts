/** What is in a support bundle: text files by name. What cannot be had is a note in its place. */
import type { Config } from '../config/config.ts';
import type { LoadedConfig } from '../config/load.ts';
import { formatConfig, formatListenAddress } from '../config/print.ts';
import { systemClock } from '../core/clock.ts';
import { errorMessage } from '../core/errors.ts';
import { descriptionDocument, formatDescription } from './databases.ts';
import type { Session } from './session.ts';
import { isoTime } from './units.ts';
import { versionFacts } from './version.ts';

/** A listing is cut here: enough to see its shape. */
const NAMES_MAX = 20_000;
const HTTP_TIMEOUT_MS = 3_000;

export interface CollectOptions {
  readonly giveUpAfterMs: number;
  readonly signal: AbortSignal;
}

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

const failed = (error: unknown): string => `could not be collected: ${errorMessage(error)}\n`;

/** What a running service answers; its absence is an answer as well. */
async function ask(config: Config, path: string, signal: AbortSignal): Promise<string> {
  if (config.addr === null) return 'not served: the configuration has no `addr`\n';
  // A service that listens on every interface is asked on this machine.
  const host = config.addr.host === '0.0.0.0' ? '127.0.0.1' : config.addr.host === '::' ? '::1' : config.addr.host;
  const url = `http://${formatListenAddress({ host, port: config.addr.port })}${path}`;
  try {
    const answer = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(HTTP_TIMEOUT_MS)]) });
    return `# ${url}: ${answer.status}\n${await answer.text()}`;
  } catch (error) {
    signal.throwIfAborted();
    return `# ${url}: no answer (${errorMessage(error)})\n`;
  }
}

/** @param loaded the configuration, or why there is none: then the bundle says that */
export async function collectBundle(
  session: Session,
  loaded: LoadedConfig | Error,
  options: CollectOptions,
): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>();
  const { signal } = options;
  files.set(
    'versions.json',
    json({ ...versionFacts(session.io, session.version), collectedAt: isoTime(systemClock.now()) }),
  );
  if (loaded instanceof Error) {
    files.set('configuration.txt', failed(loaded));
    return files;
  }
  const { config, file, origins } = loaded;
  files.set('configuration.yml', `# ${file}\n${formatConfig(config, { origins })}`);
  const [{ openLog }, { describeDatabases }, { listNames, nameOfDestination }] = await Promise.all([
    import('../daemon/open-log.ts'),
    import('../daemon/describe-databases.ts'),
    import('../daemon/list-names.ts'),
  ]);
  // What the collecting itself has to say belongs into the bundle, not on the terminal.
  const log = openLog({ level: 'debug', format: 'json', stream: { write: () => true } });
  const described = await describeDatabases(config, { ...options, log });
  const now = systemClock.now();
  files.set('databases.txt', `${formatDescription(described, now)}\n`);
  files.set('databases.json', json(descriptionDocument(described)));
  files.set('service-health.txt', await ask(config, '/readyz', signal));
  files.set('service-metrics.txt', await ask(config, '/metrics', signal));
  files.set('service-events.txt', await ask(config, '/events', signal));
  const urls = config.dbs.flatMap(({ replicas }) => replicas.map(({ url }) => url));
  for (const [index, url] of urls.entries()) {
    const heading = `# ${nameOfDestination(url)}\n`;
    try {
      const listing = { ...options, requestTimeoutMs: config.requestTimeoutMs, namesMax: NAMES_MAX, log };
      const { names, cut } = await listNames(url, listing);
      const lines = names.map(({ key, size }) => `${String(size).padStart(12)} ${JSON.stringify(key).slice(1, -1)}\n`);
      files.set(
        `names/${index + 1}.txt`,
        heading + lines.join('') + (cut ? `# only the first ${NAMES_MAX} names\n` : ''),
      );
    } catch (error) {
      signal.throwIfAborted();
      files.set(`names/${index + 1}.txt`, heading + failed(error));
    }
  }
  const events = log.events().map((event) => `${JSON.stringify(event)}\n`);
  if (events.length > 0) files.set('events.ndjson', events.join(''));
  return files;
}
