/** `verify` */
import type { Command } from 'commander';
import { Option } from 'commander';
import { systemClock } from '../core/clock.ts';
import { UsageError } from '../core/errors.ts';
import type { VerifyCommandOptions } from '../daemon/verify-command.ts';
import { act, type CommandFacts, checkPositionals, configFileOption, configFlag, newCommand } from './command.ts';
import { interruptible } from './interrupt.ts';
import { type Io, writeJson, writeText } from './io.ts';
import { parallelismFlag } from './parallelism-flag.ts';
import { parseCount, parseDurationFlag } from './parse-flags.ts';
import { parseReplicaIdFlag } from './restore-place.ts';
import { loadForCommand, openSessionLog, type Session } from './session.ts';
import { humanBytes } from './units.ts';
import { findSource } from './source-place.ts';
import { formatVerified, verifiedDocument } from './verify-summary.ts';
import { giveUpAfterFlag } from './reading-flags.ts';

interface Flags {
  readonly config?: string;
  readonly deep?: true;
  readonly sample?: string;
  readonly round?: string;
  readonly replicaId?: string;
  readonly parallelism: string;
  readonly json?: true;
  readonly giveUpAfter: string;
}

const PARALLELISM_MAX = 64;
const PROGRESS_EVERY_MS = 5_000;
const PERCENT = /^(\d{1,3}(?:\.\d{1,2})?)%?$/;

const facts: CommandFacts = {
  name: 'verify',
  summary: 'Check a backup: is everything there, and is it what was stored?',
  usage: '[flags] DB_DIR | URL',
  description: `Checks, from names and documents alone, the chain of every generation and how they branch, every snapshot's manifest and
that its packs are there with the right sizes, and what lies there that is not of this backup. Of a whole server each of
its databases, and every image with its files and programs.

-deep reads every byte as well: each commit and each object of a snapshot against its checksum, each name against what it
names. -sample 5% reads a twentieth of the objects, another one each day, so that 20 days read all. Where it does not run
each day, -round takes the place of the day: a number that is one more each time.

Each finding says what it means for a restore, and what to do. DAMAGE is what is lost or altered; a note is worth
knowing, and nothing is lost by it. Nothing is ever changed or removed. With several destinations all are checked.

Exit codes: 0 no damage, 14 damage, 10 no backup there, 75 the store cannot be reached, 3 one of several destinations
could not be checked.`,
  examples: [
    ['stdb-replicate verify s3://my-backups/game-0', 'is everything there?'],
    ['stdb-replicate verify -deep /stdb/data', 'every byte, at each destination of the configuration'],
    ['stdb-replicate verify -sample 5% /stdb/data', 'once a day: all bytes in 20 days'],
  ],
};

const flagOptions = (): Option[] => [
  configFileOption(),
  new Option('--deep', 'Read and check every byte.'),
  new Option('--sample <PERCENT>', 'Read and check this part of the objects, another one in each round.'),
  new Option('--round <N>', 'Which part -sample reads. Default: the number of the day.'),
  new Option('--replica-id <N>', 'Check this database of a server alone.'),
  parallelismFlag(),
  configFlag('memory', 'SIZE'),
  giveUpAfterFlag(),
  new Option('--json', 'Print the result as one JSON document on stdout.'),
];

/** How much is read, in percent, and which part. @throws UsageError */
function parseSample({ deep, sample, round }: Flags): { readonly percent: number; readonly round: number | null } {
  if (sample === undefined) {
    if (round !== undefined) throw new UsageError('-round says which part -sample reads: -sample is missing');
    return { percent: deep ? 100 : 0, round: null };
  }
  if (deep) throw new UsageError('-deep reads everything and -sample a part of it: take one of the two');
  const percent = Number(PERCENT.exec(sample)?.[1] ?? Number.NaN);
  if (!(percent >= 0.01 && percent <= 100)) {
    throw new UsageError(`-sample: ${JSON.stringify(sample)} is no part from 0.01% to 100%`, { hint: 'Write 5%.' });
  }
  return { percent, round: round === undefined ? null : parseCount('round', round, { min: 0, max: 999_999_999 }) };
}

/** A line on stderr now and then, since a deep check may take hours. */
function progressLines(stderr: Io['stderr']): VerifyCommandOptions['progress'] {
  let last = systemClock.monotonic();
  return ({ bytesDone, bytesTotal, objectsDone, objectsTotal }) => {
    const now = systemClock.monotonic();
    if (now - last < PROGRESS_EVERY_MS) return;
    last = now;
    stderr.write(
      `read ${objectsDone} of ${objectsTotal} objects, ${humanBytes(bytesDone)} of ${humanBytes(bytesTotal)}\n`,
    );
  };
}

export function verifyCommand(session: Session): Command {
  const command = newCommand(session, facts, flagOptions());
  return act<Flags>(session, command, async (_positionals, flags) => {
    checkPositionals(command, { min: 1, max: 1, what: 'DB_DIR or URL' });
    const parallelism = parseCount('parallelism', flags.parallelism, { min: 1, max: PARALLELISM_MAX });
    const giveUpAfterMs = parseDurationFlag('give-up-after', flags.giveUpAfter);
    const sample = parseSample(flags);
    const given = { source: command.args[0] ?? '', replicaId: parseReplicaIdFlag(flags.replicaId) };
    const { config, urls, replicaId } = await findSource(given, (fileless) =>
      loadForCommand(session, { config: flags.config, fileless }),
    );
    const { io } = session;
    const { exitCodeOfVerify, runVerify } = await import('../daemon/verify-command.ts');
    const log = await openSessionLog(session, config);
    const { memoryBytes, requestTimeoutMs } = config;
    const verified = await interruptible(io, { message: 'the check was stopped before its end' }, (signal) =>
      runVerify({
        urls,
        replicaId,
        ...sample,
        parallelism,
        memoryBytes,
        requestTimeoutMs,
        giveUpAfterMs,
        log,
        progress: progressLines(io.stderr),
        signal,
      }),
    );
    const [only] = verified;
    // A single destination that cannot be asked is the command's own failure, with its hint.
    if (verified.length === 1 && only?.result instanceof Error) throw only.result;
    if (flags.json) await writeJson(io.stdout, { destinations: verified.map(verifiedDocument) });
    else
      await writeText(
        io.stdout,
        `${verified.map((one) => formatVerified(one, { deep: sample.percent === 100 })).join('\n\n')}\n`,
      );
    return exitCodeOfVerify(verified);
  });
}
