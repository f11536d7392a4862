/**
 * Invariant: what `docker/compose.yml` says works as it stands. It comes up; replicate, as nobody and from a read-only
 * root, stores a server's data, and ends after the server with all of it; the data is lost; the restore that its first
 * lines name brings it back for the same user; and the backup goes on from there.
 *
 * In the server's place stands an image that puts a recorded data directory into the volume and waits for SIGINT.
 */
import { cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import { parse } from 'yaml';
import { testNeeding } from '../support/named-skip.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { ROOT, readProjectFile } from '../tidy/repository.ts';
import { BASE, buildImage, docker, type Said, whyNotRun } from './engine.ts';

const FILE = 'docker/compose.yml';
const { services } = parse(readProjectFile(FILE), { merge: true }) as {
  readonly services: { readonly s3: { readonly image: string } };
};

const whyNot = (): string | null =>
  docker(['compose', 'version']).status === 0 ? whyNotRun(BASE, services.s3.image) : 'Docker has no compose here';

const PLAYER = `#!/usr/bin/env node
const { cpSync, existsSync } = require('node:fs');
const data = process.argv.find((word) => word.startsWith('--data-dir=')).slice('--data-dir='.length);
if (!existsSync(data + '/metadata.toml')) cpSync('/recorded', data, { recursive: true });
process.on('SIGINT', () => process.exit(0));
setInterval(() => {}, 1000);
`;

/** What a restore gives back byte for byte: the server's own files, and the segments from the newest snapshot on. */
const LIST = `cd /stdb/data && find . -type f \\( -name '*.stdb.log' -o -name '*.toml' -o -path './control-db/*' -o -path './program-bytes/*' \\) ! -name .keep -exec sha256sum {} + | sort -k 2`;

class Composed implements AsyncDisposable {
  readonly #words: readonly string[];
  readonly #env: Readonly<Record<string, string>>;

  constructor(project: string, override: string, env: Readonly<Record<string, string>>) {
    this.#words = ['compose', '-p', project, '-f', FILE, '-f', override, '--env-file', 'docker/.env.example'];
    this.#env = env;
  }

  try(...args: readonly string[]): Said {
    return docker([...this.#words, ...args], this.#env);
  }

  /** @throws Error with what was said, where the command fails */
  run(...args: readonly string[]): string {
    const { status, output } = this.try(...args);
    if (status !== 0) throw new Error(`docker compose ${args.join(' ')}: ${status}\n${output}`);
    return output;
  }

  /** In a container of the server's image, as its user, with its volumes. */
  inVolume(script: string): string[] {
    return this.run('run', '--rm', '--no-deps', '--no-TTY', '--entrypoint', 'sh', 'server', '-c', script)
      .split('\n')
      .filter((line) => / \.\//.test(line));
  }

  /** What replicate has logged so often; waits for that. */
  async logged(what: RegExp, times: number): Promise<void> {
    for (let looks = 0; ; looks += 1) {
      const log = this.run('logs', '--no-color', '--no-log-prefix', 'replicate');
      if (log.split('\n').filter((line) => what.test(line)).length >= times) return;
      if (looks > 120) throw new Error(`${what} was not logged ${times} times:\n${log}`);
      await delay(500);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.run('--profile', 'restore', 'down', '--volumes', '--timeout', '5');
  }
}

testNeeding({ missing: whyNot() })(
  'up, stored, stopped, lost, restored, up again',
  async () => {
    const name = `stdb-replicate-compose-${Date.now()}`;
    await using place = await temporaryDirectory();
    await cp(join(ROOT, 'test/vectors/server-2.8/data'), place.at('recorded'), { recursive: true });
    await writeFile(place.at('play'), PLAYER, { mode: 0o755 });
    await writeFile(
      place.at('Dockerfile'),
      `FROM ${BASE}\nCOPY play /bin/\nCOPY recorded /recorded\nENTRYPOINT ["play"]\n`,
    );
    // The ports of this machine may be taken; everything else is as it stands.
    const ours = `image: ${name}:program`;
    await writeFile(
      place.at('override.yml'),
      `services:\n  server: { ports: !reset [] }\n  replicate: { ${ours}, ports: !reset [] }\n  restore: { ${ours} }\n`,
    );
    try {
      for (const built of [docker(['build', '-t', `${name}:server`, place.path]), buildImage(`${name}:program`)]) {
        expect(built.status, built.output.slice(-4000)).toBe(0);
      }
      await using composed = new Composed(name, place.at('override.yml'), { SPACETIMEDB_IMAGE: `${name}:server` });
      composed.run('up', '--no-build', '--detach');
      await composed.logged(/snapshot stored/, 2);
      await composed.logged(/image of the server stored/, 1);
      composed.run('stop', 'server', 'replicate');
      expect(composed.run('ps', '--all', '--format', '{{.Service}} {{.ExitCode}}').split('\n')).toEqual(
        expect.arrayContaining(['replicate 0', 'server 0']),
      );
      const before = composed.inVolume(LIST);

      const [lost = ''] = /rm -rf \/stdb\/data\/\*/.exec(readProjectFile(FILE)) ?? [];
      composed.inVolume(lost);
      expect(composed.inVolume(LIST)).toEqual([]);
      composed.run('run', '--rm', '--no-TTY', 'restore');
      const after = composed.inVolume(LIST);
      expect(before).toEqual(expect.arrayContaining(after));
      expect(after.map((line) => line.replace(/^.* /, ''))).toEqual(
        expect.arrayContaining([
          './control-db/db',
          './metadata.toml',
          './replicas/1/clog/00000000000000000051.stdb.log',
          './replicas/3/clog/00000000000000000000.stdb.log',
        ]),
      );

      composed.run('start', 'replicate', 'server');
      await composed.logged(/"msg":"replicating/, 4);
      expect(composed.run('ps', '--format', '{{.Service}}').split('\n')).toEqual(
        expect.arrayContaining(['replicate', 's3', 'server']),
      );
    } finally {
      for (const tag of ['program', 'server']) docker(['image', 'rm', '--force', `${name}:${tag}`]);
    }
  },
  900_000,
);
