/**
 * Invariant: a real SpacetimeDB server that is started on a restored server data directory answers queries as the server
 * did whose directory was replicated. SPACETIMEDB_BIN names the server: `spacetime`, or `spacetimedb-standalone`.
 */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { testNeeding } from '../support/named-skip.ts';
import { runProgram } from '../support/program.ts';
import { startProcess } from '../support/server-process.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { copyVector, vectorDirectory } from '../vectors/vectors.ts';

const program = process.env['SPACETIMEDB_BIN'] ?? '';

interface Expectations {
  readonly replicas: Readonly<
    Record<
      string,
      {
        readonly check: { readonly identity: string };
        readonly sql_on_the_server: Readonly<Record<string, readonly (readonly unknown[])[]>>;
      }
    >
  >;
}

async function query(url: string, database: string, sql: string): Promise<unknown> {
  const response = await fetch(`${url}/v1/database/${database}/sql`, { method: 'POST', body: sql });
  const text = await response.text();
  expect(response.status, text).toBe(200);
  return (JSON.parse(text) as readonly { readonly rows: unknown }[])[0]?.rows;
}

const onServer = testNeeding({
  missing: program === '' ? 'no SpacetimeDB server: SPACETIMEDB_BIN names none' : null,
});

onServer(
  'a real server answers on a restored directory',
  async () => {
    await using directory = await temporaryDirectory();
    const store = `file://${directory.at('store')}`;
    copyVector('server-2.8', directory.at('data'));
    await mkdir(directory.at('store'));
    for (const args of [
      ['replicate', '-once', directory.at('data'), store],
      ['restore', '-o', directory.at('restored'), store],
    ]) {
      const { code, stderr } = await runProgram(args);
      expect(code, stderr).toBe(0);
    }
    const expected = JSON.parse(
      await readFile(join(vectorDirectory('server-2.8'), '..', 'expect.json'), 'utf8'),
    ) as Expectations;
    const address = `127.0.0.1:${await freePort()}`;
    const url = `http://${address}`;
    const server = await startProcess(
      [program, 'start', '--data-dir', directory.at('restored'), '--listen-addr', address],
      // Its signing keys lie in its user's directory: in this one it makes its own.
      {
        env: { HOME: directory.at('home'), XDG_CONFIG_HOME: directory.at('home', 'config') },
        readyUrl: `${url}/v1/ping`,
      },
    );
    try {
      for (const { check, sql_on_the_server: answers } of Object.values(expected.replicas)) {
        for (const [sql, rows] of Object.entries(answers)) {
          expect(await query(url, check.identity, sql), sql).toEqual(rows);
        }
      }
    } finally {
      await server.stop();
    }
  },
  180_000,
);
