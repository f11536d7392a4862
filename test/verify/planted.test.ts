/**
 * Invariant: whatever is planted in a backup, `verify` names the object, what that means for a restore and what to do, and
 * ends with 14 where something is lost or altered, with 0 where nothing is. Every kind of finding is planted.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Finding, FindingKind } from '../../src/verify/finding.ts';
import { runMain } from '../support/fake-io.ts';
import { PlantedBackup, PlantedServer } from '../support/planted-backup.ts';
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts';
import type { Planted } from './planted.ts';
import { PLANTED_IN_CONTENT } from './planted-content.ts';
import { PLANTED_IN_DATABASE } from './planted-database.ts';
import { PLANTED_IN_SERVER } from './planted-server.ts';

let directory: TemporaryDirectory;
beforeEach(async () => {
  directory = await temporaryDirectory();
});
afterEach(() => directory[Symbol.asyncDispose]());

/** The store in memory as files. */
async function asFiles(backup: PlantedBackup): Promise<string> {
  for (const key of backup.keys()) {
    const path = join(directory.path, key);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, backup.bytesOf(key));
  }
  return `file://${directory.path}`;
}

async function expectFound<Backup extends PlantedBackup>(backup: Backup, planted: Planted<Backup>): Promise<void> {
  const { kind, severity = 'damage', deep = false, plant } = planted;
  const key = await plant(backup);
  const args = ['verify', ...(deep ? ['-deep'] : []), await asFiles(backup)];
  const { code, stdout, stderr } = await runMain([...args, '-json']);
  expect(code, stdout + stderr).toBe(severity === 'damage' ? 14 : 0);
  const { destinations } = JSON.parse(stdout) as { destinations: { findings: Finding[] }[] };
  const findings = destinations[0]?.findings ?? [];
  const found = findings.find((one) => one.kind === kind && one.severity === severity && one.key === key);
  expect(found, `${kind} of ${key} in ${JSON.stringify(findings, null, 1)}`).toBeDefined();
  for (const one of findings) {
    expect(one.effect, one.message).toMatch(/\w.* \w/);
    expect(one.remedy, one.message).toMatch(/^[A-Z].*\.$/);
  }
  const shown = await runMain(args);
  expect(shown.code).toBe(code);
  if (key !== null) expect(shown.stdout).toContain(key);
  const { message = '', effect = '', remedy = '' } = found ?? {};
  for (const words of [message, `effect  ${effect}`, `remedy  ${remedy}`]) expect(shown.stdout).toContain(words);
}

describe('in a database', () => {
  test.each([...PLANTED_IN_DATABASE, ...PLANTED_IN_CONTENT])('$kind: $name', async (planted) => {
    await expectFound(await PlantedBackup.build(), planted);
  });
});

describe('in a server', () => {
  test.each(PLANTED_IN_SERVER)('$kind: $name', async (planted) => {
    await expectFound(await PlantedServer.build(), planted);
  });
});

test('every kind is planted; a backup in which nothing is ends with 0 and no finding', async () => {
  // What is not checked is a matter of the memory budget, not of a backup: src/verify/large-blob.test.ts.
  const kinds: Record<Exclude<FindingKind, 'unchecked'>, true> = {
    missing: true,
    altered: true,
    'wrong-size': true,
    hole: true,
    contradiction: true,
    misnamed: true,
    trimmed: true,
    unreachable: true,
    unneeded: true,
    foreign: true,
    unsupported: true,
  };
  const planted = new Set(
    [...PLANTED_IN_DATABASE, ...PLANTED_IN_CONTENT, ...PLANTED_IN_SERVER].map(({ kind }) => kind),
  );
  expect([...planted].sort()).toEqual(Object.keys(kinds).sort());
  const whole = await runMain(['verify', '-deep', '-json', await asFiles(await PlantedServer.build())]);
  expect(whole.code, whole.stderr).toBe(0);
  expect(JSON.parse(whole.stdout)).toMatchObject({ destinations: [{ damaged: false, findings: [] }] });
});
