/** `help [COMMAND]` */
import type { Command } from 'commander';
import { didYouMean } from '../config/problem.ts';
import { UsageError } from '../core/errors.ts';
import { act, helpHint, newCommand } from './command.ts';
import { writeText } from './io.ts';
import type { Session } from './session.ts';

export function helpCommand(session: Session): Command {
  const command = newCommand(session, {
    name: 'help',
    summary: 'Explain a command.',
    usage: '[COMMAND]',
    description: 'Explains a command, or lists all of them.',
    examples: [['stdb-replicate help config check', 'what does it check?']],
  });
  return act(session, command, async (names) => {
    let about = command.parent ?? command;
    for (const name of names) {
      const found = about.commands.find((each) => each.name() === name);
      if (!found) {
        const nearest = didYouMean(
          name,
          about.commands.map((each) => each.name()),
        );
        throw new UsageError(`unknown command ${JSON.stringify(name)}${nearest}`, { hint: helpHint(about) });
      }
      about = found;
    }
    await writeText(session.io.stdout, about.helpInformation());
    return 0;
  });
}
