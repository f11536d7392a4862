/** `log` */
import type { Command } from 'commander';
import { Option } from 'commander';
import { systemClock } from '../core/clock.ts';
import { EXIT } from '../core/errors.ts';
import {
  browseOptions,
  type BrowseFlags,
  commonOptions,
  findBrowsePlace,
  generationOption,
  requireOneUrl,
  widthOf,
} from './browse.ts';
import { act, type CommandFacts, checkPositionals, newCommand } from './command.ts';
import { interruptible } from './interrupt.ts';
import { tryWriteText } from './io.ts';
import { type LogQueryFlags, parseLogQuery } from './log-query.ts';
import { logLine, LogText } from './log-text.ts';
import type { Session } from './session.ts';

type Flags = BrowseFlags & LogQueryFlags;

const facts: CommandFacts = {
  name: 'log',
  summary: 'Show the stored commits: transaction, time, size, reducer, caller.',
  usage: '[flags] [DB_DIR | URL]',
  description: `Lists commits, the oldest first and the newest last, as a log is read. Without -from and -since the last 20 that fit.
Each line is a recovery point: restore -tx takes its last transaction. TIME, REDUCER and CALLER are of the commit's first
transaction. [snapshot]: the log no longer holds that commit; the snapshot that was taken at it keeps it ("inLog": false).
Only the objects that the question needs are read, and of long ones only parts; -reducer alone looks through the log from
its end.

-from and -to take a transaction or a time, both included; times count as for restore -timestamp: by the greatest time
of the server's clock so far, which never falls.

DB_DIR is a path in the configuration, or a replica directory in one; of several destinations the one is read that a
restore would take. URL is one destination. Of a whole server -replica-id says which database.

Exit codes: 0 shown, 2 usage or configuration, 10 no backup there, 14 a part of what was asked for is missing or
damaged (the rest was shown), 15 destinations disagree, 75 the store cannot be reached.`,
  examples: [
    ['stdb-replicate log s3://my-backups/game-0', 'the last 20 commits'],
    ['stdb-replicate log -since 10m s3://my-backups/game-0', 'all of the last ten minutes'],
    ['stdb-replicate log -reducer delete_all -n 1 s3://my-backups/game-0', 'when was it called last?'],
    ['stdb-replicate log -json -from 0 /stdb/data/replicas/1 | jq -r .reducer', 'all of them, as NDJSON'],
  ],
};

const flagOptions = (): Option[] => [
  new Option('--from <TX|TIME>', 'Begin with this transaction, or at this time: 120, 2026-11-21T07:40:10Z, "2h ago".'),
  new Option('--to <TX|TIME>', 'End with this transaction, or at this time.'),
  new Option('--since <DURATION>', 'Begin so long before now: 10m, 2h, 7d.'),
  new Option('--reducer <NAME>', 'Only commits whose first transaction called this reducer.'),
  new Option('-n <COUNT>', 'Of what fits, the newest so many. Default: 20; all with -from or -since.'),
  generationOption(),
  ...browseOptions('Print each commit as one line of JSON.'),
];

export function logCommand(session: Session): Command {
  const command = newCommand(session, facts, flagOptions());
  return act<Flags>(session, command, async ([source], flags) => {
    checkPositionals(command, { min: 0, max: 1, what: 'DB_DIR or URL' });
    const query = parseLogQuery(flags, { now: systemClock.now() });
    const place = await findBrowsePlace(session, source, flags);
    requireOneUrl(place.urls, flags);
    const options = await commonOptions(session, place, flags);
    const { io } = session;
    const { browseLog } = await import('../daemon/browse-log.ts');
    const text = new LogText(widthOf(io.stdout, io.env));
    const message = 'stopped before the end of what was asked for';
    await interruptible(io, { message }, async (signal) => {
      const { generation } = flags;
      for await (const commits of browseLog(place.urls, { ...options, query, generation, signal })) {
        const lines = flags.json ? commits.map(logLine).join('') : text.format(commits);
        // A reader that went away (`| head`) has seen enough.
        if (!(await tryWriteText(io.stdout, lines))) return;
        signal.throwIfAborted();
      }
    });
    return EXIT.ok;
  });
}
