/**
 * `-exec CMD` as the words of a command. The quoting is the shell's (POSIX, Shell Command Language, 2.2); no shell runs.
 *
 * Invariant: words that come out are those that `sh` would pass on for the same text. Whatever a shell would do beyond
 * splitting (variables, patterns, pipes, lists of commands) is refused: taken literally it would not do what was meant,
 * and with a shell between us and the server, signals and the exit status would be the shell's.
 */
import { UsageError } from '../core/errors.ts';

export type CommandWords = readonly [program: string, ...args: string[]];

/** Unquoted, anywhere. */
const OPERATORS = new Set('|&;<>()$`*?[');
/** Unquoted, at the start of a word. */
const AT_START = new Set('#~');
/** What a backslash escapes within double quotes. */
const ESCAPED_IN_QUOTES = new Set('$`"\\');
const BLANK = /[ \t\n]/;

/** @throws UsageError for what a shell would be needed for, an open quote, or no program at all */
export function parseExecCommand(text: string): CommandWords {
  const [program, ...args] = new Scanner(text).words();
  if (program === undefined || program === '') throw new UsageError('-exec names no program', { hint: HINT });
  if (/^[A-Za-z_]\w*=/.test(program)) {
    throw refused(`begins with the assignment ${JSON.stringify(program)}`, `Use env: -exec "env ${program} …".`);
  }
  return [program, ...args];
}

const HINT = 'Example: -exec "spacetime start --data-dir /stdb/data".';

const refused = (what: string, hint: string): UsageError =>
  new UsageError(`the command of -exec ${what}, and no shell reads it`, { hint });

class Scanner {
  readonly #text: string;
  #at = 0;
  readonly #words: string[] = [];
  /** Null between words. */
  #word: string | null = null;

  constructor(text: string) {
    this.#text = text;
  }

  words(): readonly string[] {
    while (this.#at < this.#text.length) this.#step();
    this.#endWord();
    return this.#words;
  }

  #step(): void {
    const char = this.#take();
    if (BLANK.test(char)) {
      this.#endWord();
      const rest = this.#text.slice(this.#at);
      if (char === '\n' && this.#words.length > 0 && rest.trim() !== '') throw this.#needsShell('a new line');
    } else if (char === "'") this.#single();
    else if (char === '"') this.#double();
    else if (char === '\\') this.#escaped();
    else if (OPERATORS.has(char) || (this.#word === null && AT_START.has(char))) {
      throw this.#needsShell(char);
    } else this.#add(char);
  }

  #single(): void {
    const end = this.#text.indexOf("'", this.#at);
    if (end < 0) throw this.#open("'");
    this.#add(this.#text.slice(this.#at, end));
    this.#at = end + 1;
  }

  #double(): void {
    this.#add('');
    for (;;) {
      if (this.#at >= this.#text.length) throw this.#open('"');
      const char = this.#take();
      if (char === '"') return;
      if (char === '$' || char === '`') throw this.#needsShell(char);
      if (char !== '\\') {
        this.#add(char);
        continue;
      }
      const next = this.#text[this.#at] ?? '';
      if (next === '\n') this.#at += 1;
      else if (ESCAPED_IN_QUOTES.has(next)) this.#add(this.#take());
      else this.#add('\\');
    }
  }

  #escaped(): void {
    if (this.#at >= this.#text.length) {
      throw new UsageError('the command of -exec ends in a backslash', { hint: HINT });
    }
    const char = this.#take();
    // A line that is continued: neither is part of a word.
    if (char !== '\n') this.#add(char);
  }

  #take(): string {
    const char = this.#text[this.#at] ?? '';
    this.#at += 1;
    return char;
  }

  #add(text: string): void {
    this.#word = (this.#word ?? '') + text;
  }

  #endWord(): void {
    if (this.#word !== null) this.#words.push(this.#word);
    this.#word = null;
  }

  #open(quote: string): UsageError {
    return new UsageError(`the command of -exec has a quote ${quote} that is never closed`, { hint: HINT });
  }

  #needsShell(what: string): UsageError {
    return refused(
      `contains ${what}`,
      `Quote it where it is meant literally; else name a shell, and let that become the server: -exec "sh -c 'exec …'".`,
    );
  }
}
