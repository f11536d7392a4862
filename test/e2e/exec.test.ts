/**
 * Invariants of `replicate -exec`: the server has the signals, and its own streams; whatever ends it, what it wrote last is
 * stored, and its status is ours; 0 says that all is stored as well. A backup in trouble neither keeps the server from
 * starting nor ends it. A restore comes before it, and where that fails the server is never started.
 *
 * The servers are shell scripts that copy real segments into place.
 */
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import {
  type DatabaseBesideStore,
  databaseBesideStore,
  runBadly,
  runWell,
  writeConfig,
} from '../support/database-beside-store.ts';
import { freePort } from '../support/free-port.ts';
import { startProgram } from '../support/program.ts';
import { rawHttpServer } from '../support/raw-http-server.ts';
import { readHead } from '../support/stored-log.ts';
import { vectorDirectory } from '../vectors/vectors.ts';

const VECTOR = vectorDirectory('v2-small');
const LAST_TX = '299';

/** Writes a script and gives the CMD that runs it. */
async function server(place: DatabaseBesideStore, lines: readonly string[]): Promise<string> {
  const path = place.at('server.sh');
  await writeFile(path, ['#!/bin/sh', ...lines, ''].join('\n'), { mode: 0o755 });
  return path;
}

/** Appears at once, as a database that a server makes. */
const makesDatabase = ({ database }: DatabaseBesideStore): string =>
  `mkdir -p '${database}' && cp -r '${VECTOR}'/snapshots '${VECTOR}'/clog '${database}'/`;

/** The snapshots are not looked at: a last sync is of the log alone. */
async function expectWholeLog(database: string): Promise<void> {
  const segments = async (directory: string): Promise<string[]> =>
    (await readdir(join(directory, 'clog'))).filter((name) => name.endsWith('.stdb.log'));
  expect(await segments(database)).toEqual(await segments(VECTOR));
  for (const name of await segments(VECTOR)) {
    expect(await readFile(join(database, 'clog', name))).toEqual(await readFile(join(VECTOR, 'clog', name)));
  }
}

/** Short sleeps: a shell acts upon a signal only when the program that it waits for has ended. */
const STAYS = ['echo serving', 'while :; do sleep 0.02; done'];

const neverAnswers = await rawHttpServer(() => undefined);
afterAll(() => neverAnswers[Symbol.asyncDispose]());
const awayUrl = `s3://bucket/prefix?endpoint=${neverAnswers.endpoint}&region=us-east-1&forcePathStyle=true`;
const credentials = { AWS_ACCESS_KEY_ID: 'somebody', AWS_SECRET_ACCESS_KEY: 'something' };

describe('the server’s end', () => {
  test.each([
    ['exit 0', 0, /the server has ended/],
    ['exit 7', 7, /the server has ended with status 7/],
    ['kill -KILL $$', 137, /the server has ended by SIGKILL/],
    ['kill -SEGV $$', 139, /the server has ended by SIGSEGV/],
  ])('%s after it wrote its last: all is stored, and %i is our status', async (end, code, says) => {
    await using place = await databaseBesideStore(null);
    // It writes when it is seen to be waited for, and ends in the same breath.
    const cmd = await server(place, [
      `while [ ! -e '${place.at('go')}' ]; do sleep 0.02; done`,
      makesDatabase(place),
      end,
    ]);
    await using program = startProgram(['replicate', '-exec', cmd, place.database, place.url]);
    await program.says(/waiting for a commit log/);
    await writeFile(place.at('go'), '');
    const ended = await program.ended();
    expect(ended.code, ended.stderr).toBe(code);
    expect(ended.stderr).toMatch(says);
    expect(ended.stderr.match(/the server has ended/g)).toHaveLength(1);
    expect(ended.stderr).toMatch(/all that the server wrote is stored/);
    expect(await readHead(place.store)).toMatchObject({ released: true, position: { tx: LAST_TX } });
    await runWell(['restore', '-o', place.restored, place.url]);
    await expectWholeLog(place.restored);
  });

  test('a server that lives shorter than our start', async () => {
    await using place = await databaseBesideStore(null);
    const cmd = await server(place, [makesDatabase(place)]);
    await using program = startProgram(['replicate', '-exec', cmd, place.database, place.url]);
    const ended = await program.ended();
    expect(ended.code, ended.stderr).toBe(0);
    expect(await readHead(place.store)).toMatchObject({ released: true, position: { tx: LAST_TX } });
  });

  test('a whole server that makes its first database and ends: all of it is stored', async () => {
    await using place = await databaseBesideStore(null);
    const data = place.at('server');
    const vector = vectorDirectory('server-2.8');
    const waits = `while [ ! -e '${place.at('go')}' ]; do sleep 0.02; done`;
    // First the directory of a server without a database, which is noticed; then a database, and the end.
    const cmd = await server(place, [
      `mkdir '${data}' && cp -r '${vector}'/metadata.toml '${vector}'/control-db '${vector}'/program-bytes '${data}'/`,
      waits,
      `cp -r '${vector}'/replicas '${data}'/`,
    ]);
    await using program = startProgram(['replicate', '-exec', cmd, data, place.url]);
    await program.says(/image of the server stored/);
    await writeFile(place.at('go'), '');
    const ended = await program.ended();
    expect(ended.code, ended.stderr).toBe(0);
    await runWell(['restore', '-o', place.restored, place.url]);
    expect((await readdir(join(place.restored, 'replicas'))).toSorted()).toEqual(['1', '3']);
  });

  test('what cannot be stored is said, and a status of 0 becomes that of the replication', async () => {
    await using place = await databaseBesideStore();
    const cmd = await server(place, [...STAYS]);
    const config = await writeConfig(place.at('c.yml'), { ...place, url: awayUrl, more: ['shutdown-timeout: 1s'] });
    const args = ['replicate', '-config', config, '-exec', cmd];
    await using program = startProgram(args, { env: credentials });
    await program.until(() => program.stdout.includes('serving'), 'the server to start');
    program.kill('SIGTERM');
    const ended = await program.ended();
    expect(ended.code, ended.stderr).toBe(143);
    expect(ended.stderr).toMatch(/not all was stored within the shutdown timeout of 1 s/);
    expect(ended.stderr).toMatch(/NOT ALL that the server wrote is stored/);

    await server(place, ["trap 'exit 0' TERM", ...STAYS]);
    await using polite = startProgram(args, { env: credentials });
    await polite.until(() => polite.stdout.includes('serving'), 'the server to start');
    polite.kill('SIGTERM');
    expect((await polite.ended()).code).toBe(143);
  });

  test('the shutdown timeout counts from there; a signal then is the second one', async () => {
    await using place = await databaseBesideStore();
    const cmd = await server(place, ["trap 'sleep 1.5; exit 5' TERM", ...STAYS]);
    const more = ['shutdown-timeout: 1h'];
    const config = await writeConfig(place.at('c.yml'), { ...place, url: awayUrl, more });
    await using program = startProgram(['replicate', '-config', config, '-exec', cmd], { env: credentials });
    await program.until(() => program.stdout.includes('serving'), 'the server to start');
    program.kill('SIGTERM');
    // To the server, which is slow: this one must not be the second.
    program.kill('SIGTERM');
    await program.says(/the server has ended with status 5: storing what is left/);
    program.kill('SIGINT');
    const ended = await program.ended();
    expect(ended.code, ended.stderr).toBe(5);
    expect(ended.stderr).toMatch(/stopped by a second signal \(SIGINT\) before all was stored/);
  });
});

describe('signals', () => {
  test.each(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const)('%s ends the server, and then us', async (signal) => {
    await using place = await databaseBesideStore();
    const name = signal.slice(3);
    const cmd = await server(place, [`trap 'echo got ${name}; exit 4' ${name}`, ...STAYS]);
    await using program = startProgram(['replicate', '-exec', cmd, place.database, place.url]);
    await program.until(() => program.stdout.includes('serving'), 'the server to start');
    await program.says(/replicating/);
    program.kill(signal);
    const ended = await program.ended();
    expect(ended.code, ended.stderr).toBe(4);
    expect(ended.stdout).toContain(`got ${name}`);
    expect(await readHead(place.store)).toMatchObject({ released: true, position: { tx: LAST_TX } });
  });

  test.each(['SIGUSR1', 'SIGUSR2'] as const)('%s is the server’s own affair', async (signal) => {
    await using place = await databaseBesideStore();
    const name = signal.slice(3);
    const cmd = await server(place, [`trap 'echo got ${name}' ${name}`, "trap 'exit 0' TERM", ...STAYS]);
    await using program = startProgram(['replicate', '-exec', cmd, place.database, place.url]);
    await program.until(() => program.stdout.includes('serving'), 'the server to start');
    program.kill(signal);
    await program.until(() => program.stdout.includes(`got ${name}`), 'the server to have it');
    program.kill('SIGTERM');
    expect((await program.ended()).code).toBe(0);
  });

  test('a server that does not heed a signal lives on, and is backed up', async () => {
    await using place = await databaseBesideStore(null);
    const lines = [
      "trap 'echo no' TERM",
      "trap 'exit 0' INT",
      'echo serving',
      'sleep 0.3',
      makesDatabase(place),
      ...STAYS,
    ];
    const cmd = await server(place, lines);
    await using program = startProgram(['replicate', '-exec', cmd, place.database, place.url]);
    await program.until(() => program.stdout.includes('serving'), 'the server to start');
    program.kill('SIGTERM');
    await program.until(() => program.stdout.includes('no'), 'the server to refuse');
    await program.says(/replicating/);
    program.kill('SIGINT');
    expect((await program.ended()).code).toBe(0);
    expect(await readHead(place.store)).toMatchObject({ position: { tx: LAST_TX } });
  });
});

describe('a backup in trouble leaves the server running', () => {
  test('a store that does not answer does not keep it from starting', async () => {
    await using place = await databaseBesideStore();
    const cmd = await server(place, ["trap 'exit 0' TERM", ...STAYS]);
    const config = await writeConfig(place.at('c.yml'), { ...place, url: awayUrl, more: ['shutdown-timeout: 1s'] });
    await using program = startProgram(['replicate', '-config', config, '-exec', cmd], { env: credentials });
    await program.until(() => program.stdout.includes('serving'), 'the server to start');
    program.kill('SIGTERM');
    expect((await program.ended()).code).toBe(143);
  });

  test('another owner’s backup: said loudly, unhealthy, and the exit code at the end', async () => {
    await using place = await databaseBesideStore();
    await runWell(['replicate', '-once', place.database, place.url], { env: { STDB_REPLICATE_OWNER: 'production' } });
    const cmd = await server(place, ["trap 'exit 0' TERM", ...STAYS]);
    const addr = `127.0.0.1:${await freePort()}`;
    const config = await writeConfig(place.at('c.yml'), { ...place, more: ['owner: staging', `addr: ${addr}`] });
    await using program = startProgram(['replicate', '-config', config, '-exec', cmd]);
    await program.until(() => program.stdout.includes('serving'), 'the server to start');
    await program.says(/THE SERVER RUNS ON WITHOUT BACKUP/);
    expect((await fetch(`http://${addr}/readyz`)).status).toBe(503);
    expect((await fetch(`http://${addr}/livez`)).status).toBe(200);
    program.kill('SIGTERM');
    const ended = await program.ended();
    expect(ended.code, ended.stderr).toBe(11);
    expect(ended.stderr).toMatch(/NOT ALL that the server wrote is stored/);
  });
});

describe('before the server', () => {
  test.each([
    ['no-such-program --flag', /error: no-such-program cannot be started: no such program is on PATH/],
    ['/', /error: \/ cannot be started: it is a directory/],
  ])('%j cannot be started: 2, and nothing is begun', async (cmd, says) => {
    await using place = await databaseBesideStore();
    await runBadly(['replicate', '-exec', cmd, place.database, place.url], { code: 2, says: [says, /hint/] });
    expect(await readdir(place.store)).toEqual([]);
  });

  test('what only the start shows: 2, once all that is there is stored', async () => {
    await using place = await databaseBesideStore();
    await writeFile(place.at('odd.sh'), '#!/no/such/interpreter\n', { mode: 0o755 });
    const args = ['replicate', '-exec', place.at('odd.sh'), place.database, place.url];
    await runBadly(args, { code: 2, says: [/odd\.sh cannot be started: .*ENOENT/, /hint: .*interpreter/] });
    expect(await readHead(place.store)).toMatchObject({ released: true });
  });

  test('a mistake in the configuration is told, and nothing is started', async () => {
    await using place = await databaseBesideStore();
    const cmd = await server(place, [`touch '${place.at('started')}'`]);
    const config = await writeConfig(place.at('c.yml'), {
      ...place,
      more: [`addr: ${neverAnswers.endpoint.replace('http://', '')}`],
    });
    await runBadly(['replicate', '-config', config, '-exec', cmd], { code: 2, says: [/port is in use/] });
    expect(existsSync(place.at('started'))).toBe(false);
  });

  test('nothing there and no backup: a first start; then lost, and restored before the server starts', async () => {
    await using place = await databaseBesideStore(null);
    const args = ['replicate', '-restore-if-db-not-exists', '-exec'];
    const first = await server(place, [makesDatabase(place)]);
    const began = await runWell([...args, first, place.database, place.url]);
    expect(began.stderr).toMatch(/has no backup yet: a first start/);

    await using lost = await databaseBesideStore(null);
    const next = await server(lost, [`cp -r '${lost.database}' '${lost.at('seen')}'`]);
    const again = await runWell([...args, next, lost.database, place.url]);
    expect(again.stderr).toMatch(/was restored/);
    await expectWholeLog(lost.at('seen'));

    const third = await runWell([...args, next, lost.database, place.url]);
    expect(third.stderr).toMatch(/holds a database: nothing is restored/);
  });

  test('a restore that fails ends the program with its code, and the server is never started', async () => {
    await using place = await databaseBesideStore(null);
    const cmd = await server(place, [`touch '${place.at('started')}'`]);
    const flags = ['-restore-if-db-not-exists', '-give-up-after', '1s', '-exec', cmd];
    const nobody = awayUrl.replace(neverAnswers.endpoint, `http://127.0.0.1:${await freePort()}`);
    await runBadly(['replicate', ...flags, place.database, nobody], { code: 75, says: [/hint/], env: credentials });
    expect(existsSync(place.at('started'))).toBe(false);
    expect(existsSync(place.database)).toBe(false);

    await mkdir(join(place.database, 'something-else'), { recursive: true });
    await cp(VECTOR, place.at('other'), { recursive: true });
    await runWell(['replicate', '-once', place.at('other'), place.url]);
    const more = ['replicate', '-restore-if-db-not-exists', '-exec', cmd, place.database, place.url];
    await runBadly(more, { code: 16, says: [/something-else/] });
    expect(existsSync(place.at('started'))).toBe(false);
  });

  test('a signal during the restore: 143, and nothing is started', async () => {
    await using place = await databaseBesideStore(null);
    const cmd = await server(place, [`touch '${place.at('started')}'`]);
    const before = neverAnswers.requests.length;
    await using program = startProgram(
      ['replicate', '-restore-if-db-not-exists', '-exec', cmd, place.database, awayUrl],
      { env: credentials },
    );
    await program.until(() => neverAnswers.requests.length > before, 'a request');
    program.kill('SIGTERM');
    const ended = await program.ended();
    expect(ended.code, ended.stderr).toBe(143);
    expect(existsSync(place.at('started'))).toBe(false);
  });
});

describe('whose the backup is', () => {
  test('-takeover takes it from another owner, for this server too', async () => {
    await using place = await databaseBesideStore();
    await runWell(['replicate', '-once', place.database, place.url], { env: { STDB_REPLICATE_OWNER: 'old' } });
    const cmd = await server(place, ['exit 0']);
    const args = ['replicate', '-exec', cmd, place.database, place.url];
    expect((await startProgram(args, { env: { STDB_REPLICATE_OWNER: 'new' } }).ended()).code).toBe(11);
    await runWell(['replicate', '-takeover', ...args.slice(1)], { env: { STDB_REPLICATE_OWNER: 'new' } });
    expect(await readHead(place.store)).toMatchObject({ owner: 'new', released: true });
  });

  test('-standby: the server runs while another process holds the backup, which is taken when that ends', async () => {
    await using place = await databaseBesideStore();
    await using holder = startProgram(['replicate', place.database, place.url]);
    await holder.says(/snapshot stored/);
    const cmd = await server(place, ["trap 'exit 0' TERM", ...STAYS]);
    await using program = startProgram(['replicate', '-standby', '-exec', cmd, place.database, place.url]);
    await program.until(() => program.stdout.includes('serving'), 'the server to start');
    await program.says(/held|standby|waiting/);
    holder.kill('SIGTERM');
    expect((await holder.ended()).code).toBe(0);
    await program.says(/"msg":"replicating/);
    program.kill('SIGTERM');
    expect((await program.ended()).code).toBe(0);
  });
});

test('the server has our environment and our streams', async () => {
  await using place = await databaseBesideStore(null);
  const out = place.at('environment');
  const cmd = await server(place, [`echo "$COLOUR" > '${out}'`, 'echo to stdout', 'echo to stderr >&2']);
  const { stdout, stderr } = await runWell(['replicate', '-exec', cmd, place.database, place.url], {
    env: { COLOUR: 'blue' },
  });
  expect(await readFile(out, 'utf8')).toBe('blue\n');
  expect(stdout).toBe('to stdout\n');
  expect(stderr).toMatch(/^to stderr$/m);
});
