/**
 * Several real processes that all want to write one backup, each from its own diverging copy of the database, while they
 * are stopped, continued, killed and started again at random.
 *
 * Responsible for: the processes, what is done to them, and what they said. Not responsible for: judging what they made.
 */
import { rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { writeConfig } from './database-beside-store.ts';
import { DivergingCopy } from './diverging-copy.ts';
import { type RunningProgram, runProgram, startProgram } from './program.ts';

const GROWTH_MS = 25;
const COMMON_COMMITS = 40;
const TTL_SECONDS = 5;
/** Of a disturbance. */
const KILL_CHANCE = 0.1;
const STOP_CHANCE = 0.6;

export interface RaceOptions {
  /** A directory of the race's own. */
  readonly at: (...names: readonly string[]) => string;
  readonly url: string;
  readonly env: Readonly<Record<string, string>>;
  readonly writers: number;
  readonly milliseconds: number;
  /** In [0, 1). */
  readonly random: () => number;
}

/** What one process said, from its start to its end. */
export interface RacedRun {
  readonly copy: number;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Keys of log objects that it reported as stored. */
  readonly stored: readonly string[];
  /** The generation that it wrote, if it got that far. */
  readonly generations: readonly string[];
  readonly stderr: string;
}

export interface RacedRestore {
  readonly directory: string;
  readonly code: number | null;
  readonly stderr: string;
}

export interface RaceFacts {
  readonly runs: readonly RacedRun[];
  readonly stops: number;
  readonly kills: number;
}

interface Racer {
  readonly copy: DivergingCopy;
  readonly index: number;
  program: RunningProgram | null;
  stopped: boolean;
}

export class WriterRace implements AsyncDisposable {
  readonly copies: DivergingCopy[];
  readonly #options: RaceOptions;
  readonly #racers: Racer[];
  readonly #runs: RacedRun[] = [];
  #isOver = false;
  #ended: Promise<unknown> = Promise.resolve();
  #stops = 0;
  #kills = 0;
  #restores = 0;

  constructor(options: RaceOptions) {
    this.#options = options;
    this.copies = Array.from(
      { length: options.writers },
      (_, index) => new DivergingCopy(options.at(`copy-${index}`), `copy ${index}`),
    );
    this.#racers = this.copies.map((copy, index) => ({ copy, index, program: null, stopped: false }));
  }

  async prepare(): Promise<void> {
    const [first] = this.copies;
    if (first === undefined) throw new Error('a race of nobody');
    await first.create();
    await first.grow(COMMON_COMMITS);
    const common = [...first.commits];
    for (const copy of this.copies.slice(1)) {
      await copy.create();
      await copy.begin(common);
    }
    for (const { index } of this.#racers) await this.#writeConfig(`${index}`, 'game-0', this.copies[index]);
    await this.#writeConfig('clone', 'staging', first);
  }

  #writeConfig(name: string, owner: string, copy: DivergingCopy | undefined): Promise<string> {
    const { at, url } = this.#options;
    const more = [
      `owner: ${owner}`,
      `lease-ttl: ${TTL_SECONDS}s`,
      'levels: [ { interval: 300ms } ]',
      'log: { level: debug, format: json }',
    ];
    return writeConfig(at(`${name}.yml`), { database: copy?.directory ?? '', url, more });
  }

  /** Until the time is over: all processes run, most of the time; then none does. */
  async run(): Promise<RaceFacts> {
    const { milliseconds } = this.#options;
    const end = performance.now() + milliseconds;
    this.#ended = Promise.all([this.#grow(), ...this.#racers.map((racer) => this.#keepRunning(racer))]);
    while (performance.now() < end && !this.#isOver) {
      // Seldom enough that, while one sleeps, another one lives long enough to take over from it.
      await delay(((500 + this.#options.random() * 2_000) * 2) / this.#options.writers);
      this.#disturb();
    }
    this.#end();
    await this.#ended;
    return { runs: this.#runs, stops: this.#stops, kills: this.#kills };
  }

  #end(): void {
    this.#isOver = true;
    for (const { program } of this.#racers) program?.kill('SIGKILL');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end();
    await this.#ended;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  async #grow(): Promise<void> {
    while (!this.#isOver) {
      for (const copy of this.copies) await copy.grow(Math.floor(this.#options.random() * 3));
      await delay(GROWTH_MS);
    }
  }

  async #keepRunning(racer: Racer): Promise<void> {
    const { at, env, random, milliseconds } = this.#options;
    while (!this.#isOver) {
      const args = ['replicate', '-config', at(`${racer.index}.yml`), ...(random() < 0.5 ? ['-standby'] : [])];
      await using program = startProgram(args, { env, timeoutMs: milliseconds + 60_000 });
      racer.program = program;
      racer.stopped = false;
      const { code, signal, stderr } = await program.ended();
      racer.program = null;
      this.#runs.push({ copy: racer.index, code, signal, stderr, ...saidBy(stderr) });
      await delay(random() * 500);
    }
  }

  /** Stops or kills one, most often the one that stored last. */
  #disturb(): void {
    const { random } = this.#options;
    const running = this.#racers.filter(({ program, stopped }) => program !== null && !stopped);
    const busy = running.filter(({ program }) => /"msg":"stored"/.test(program?.stderr.slice(-4_000) ?? ''));
    const among = busy.length > 0 && random() < 0.75 ? busy : running;
    const racer = among[Math.floor(random() * among.length)];
    const program = racer?.program;
    if (racer === undefined || program === null || program === undefined) return;
    const dice = random();
    if (dice < KILL_CHANCE) {
      this.#kills += 1;
      program.kill('SIGKILL');
    } else if (dice < KILL_CHANCE + STOP_CHANCE) {
      this.#stops += 1;
      racer.stopped = true;
      program.kill('SIGSTOP');
      // Half of the time for so long that somebody else takes the head meanwhile.
      const ms = random() < 0.5 ? random() * 1_500 : TTL_SECONDS * 1_000 * (1 + 1.2 * random());
      void delay(ms, undefined, { ref: false }).then(() => {
        program.kill('SIGCONT');
        if (racer.program === program) racer.stopped = false;
      });
    }
  }

  /** Restores the default line into a directory of its own. */
  async restore(): Promise<RacedRestore> {
    const { at, url, env } = this.#options;
    this.#restores += 1;
    const directory = at(`restored-${this.#restores}`);
    const { code, stderr } = await runProgram(['restore', '-o', directory, url], { env });
    return { directory, code, stderr };
  }

  /** One pass of a copy of the machine with another owner's name. */
  async clone(): Promise<{ code: number | null; stderr: string }> {
    const { at, env } = this.#options;
    return runProgram(['replicate', '-once', '-config', at('clone.yml')], { env });
  }

  /** One pass of a writer, when the race is over. */
  async settle(index: number): Promise<{ code: number | null; stderr: string }> {
    const { at, env } = this.#options;
    return runProgram(['replicate', '-once', '-config', at(`${index}.yml`)], { env });
  }

  /** A clean slate for a restored directory. */
  async forget({ directory }: RacedRestore): Promise<void> {
    await rm(directory, { recursive: true, force: true });
  }
}

/** From the lines of its log, one JSON document each. */
function saidBy(stderr: string): Pick<RacedRun, 'stored' | 'generations'> {
  const stored: string[] = [];
  const generations: string[] = [];
  for (const line of stderr.split('\n')) {
    const said = parse(line);
    const message = said?.['msg'];
    if (message === 'stored' && typeof said?.['key'] === 'string') stored.push(said['key']);
    if (typeof message === 'string' && message.startsWith('replicating') && typeof said?.['generation'] === 'string') {
      generations.push(said['generation']);
    }
  }
  return { stored, generations };
}

/** Null for what is cut off: a killed process's last line. */
function parse(line: string): Record<string, unknown> | null {
  try {
    return line.startsWith('{') ? (JSON.parse(line) as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}
