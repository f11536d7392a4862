/**
 * What befalls the processes and the store between two comparisons, at random by the seed: several at once, but never two
 * to one process.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Random } from '../sim/random.ts';
import type { ProxyMode } from '../support/tcp-proxy.ts';
import { judgeRestore, type StateInFlight } from './judge-restore.ts';
import type { Scene } from './scene.ts';
import { hasOracle, type SoakWriter } from './soak-writer.ts';

/** After a start or an outage, lag is that of catching up. */
const CALM_AFTER_MS = 4000;
const OBSERVE_MS = 500;
/** Of a cycle, at its beginning: there the lag is told. */
const CALM_SHARE = 0.25;
/** Ends that a service may have after SIGTERM while stores are away: done, in part, away, not done in time. */
const CODES_IN_TROUBLE = [0, 3, 75, 143];
/** 3 where the time was too short for one of them. */
const CODES_IN_CALM = [0, 3, 143];

type Outage = { readonly kind: 'refused' } | ProxyMode;

const OUTAGES: readonly Outage[] = [
  { kind: 'refused' },
  { kind: 'hang' },
  { kind: 'hang-after', bytes: 3000 },
  { kind: 'reset-request', bytes: 500 },
  { kind: 'reset-response' },
  { kind: 'throttle', bytesPerSecond: 4096 },
  {
    kind: 'answer',
    text: 'HTTP/1.1 503 Slow Down\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
  },
];

export class Disturbances {
  readonly #scene: Scene;
  readonly #random: Random;
  readonly #signal: AbortSignal;
  readonly #busy = new Set<object>();
  readonly #running = new Set<Promise<void>>();
  #restlessUntil = 0;
  #isInTrouble = false;
  #isOver = false;
  /** The newest restore in flight that the engine has judged, of each cycle. */
  state: StateInFlight | null = null;

  /** @param options.signal ends a cycle at once */
  constructor(scene: Scene, options: { readonly random: Random; readonly signal: AbortSignal }) {
    this.#scene = scene;
    this.#random = options.random;
    this.#signal = options.signal;
    this.#rest();
  }

  /** Disturbs for so long; afterwards all processes run and the store answers. */
  async run(milliseconds: number): Promise<void> {
    const end = performance.now() + milliseconds;
    this.#isOver = false;
    const observing = this.#observe();
    await this.#wait(milliseconds * CALM_SHARE);
    while (performance.now() < end && !this.#signal.aborted) {
      await delay(this.#random.int(200, 2000));
      this.#disturb();
    }
    await Promise.all(this.#running);
    this.#isOver = true;
    await observing;
  }

  async #observe(): Promise<void> {
    while (!this.#isOver) {
      await this.#scene.observe(this.#isCalm());
      await delay(OBSERVE_MS);
    }
  }

  /** A restore disturbs nobody. */
  #isCalm(): boolean {
    const others = this.#busy.size - Number(this.#busy.has(this.#scene.tally));
    return others === 0 && performance.now() > this.#restlessUntil;
  }

  #disturb(): void {
    const { replicator, proxy, writers, pairs, tally } = this.#scene;
    const random = this.#random;
    // All draws before anything is asked of the machine: the seed gives the same ones whatever that answers.
    const ms = random.int(500, 8000);
    const writer = random.pick(writers);
    const outage = random.pick(OUTAGES);
    const pair = random.pick(pairs);
    random.weighted<() => void>([
      [3, () => this.#on(replicator, () => this.#killReplicator(ms / 4))],
      [1, () => this.#on(replicator, () => this.#restart())],
      [2, () => this.#on(replicator, () => this.#freeze(ms))],
      [2, () => this.#on(writer, () => this.#killWriter(writer))],
      [4, () => this.#on(proxy, () => this.#outage(outage, ms))],
      [
        2,
        () =>
          this.#on(tally, async () => {
            const state = await judgeRestore(this.#scene, pair, null);
            if (hasOracle) this.state = state ?? this.state;
          }),
      ],
    ])();
  }

  /** One at a time for each `thing`. */
  #on(thing: object, act: () => Promise<void>): void {
    if (this.#busy.has(thing)) return;
    this.#busy.add(thing);
    const acting = act()
      .catch((error: unknown) => this.#scene.tally.note(`a disturbance failed: ${String(error)}`))
      .finally(() => {
        this.#busy.delete(thing);
        this.#running.delete(acting);
        if (thing !== this.#scene.tally) this.#rest();
      });
    this.#running.add(acting);
  }

  #rest(): void {
    this.#restlessUntil = performance.now() + CALM_AFTER_MS;
  }

  async #killReplicator(downMs: number): Promise<void> {
    const { replicator, tally } = this.#scene;
    tally.add('replicator kills');
    this.#scene.trace('the replicator is killed');
    await replicator.end('SIGKILL');
    await this.#wait(downMs);
    replicator.start();
  }

  async #restart(): Promise<void> {
    const { replicator, tally } = this.#scene;
    tally.add('replicator restarts');
    this.#scene.trace('the replicator is told to end');
    const outagesBefore = tally.get('outages');
    const wasInTrouble = this.#isInTrouble;
    const result = await replicator.end('SIGTERM');
    this.#scene.trace('the replicator has ended');
    const isInTrouble = wasInTrouble || this.#isInTrouble || tally.get('outages') > outagesBefore;
    // A process that has not come as far as to say anything is ended by the signal itself.
    const isUnborn = result?.signal === 'SIGTERM' && result.stderr === '';
    const code = result?.code ?? -1;
    tally.addTo('exitCodes', isUnborn ? 'before it began' : String(code));
    // What ends in calm within its time ends well; a machine under load may need longer.
    const expected = isInTrouble ? CODES_IN_TROUBLE : CODES_IN_CALM;
    const isWellOrOutOfTime = code === 0 || result?.stderr.includes('"code":"INTERRUPTED"') === true;
    if (!isUnborn && (!expected.includes(code) || (!isInTrouble && !isWellOrOutOfTime)))
      tally.note(`SIGTERM ended the replicator with ${code} (${result?.signal}): ${result?.stderr.slice(-3000)}`);
    replicator.start();
  }

  async #freeze(ms: number): Promise<void> {
    const { replicator, tally } = this.#scene;
    tally.add('replicator freezes');
    this.#scene.trace('the replicator is frozen');
    replicator.freeze();
    await this.#wait(ms);
    replicator.thaw();
  }

  async #killWriter(writer: SoakWriter): Promise<void> {
    this.#scene.tally.add('writer kills');
    this.#scene.trace(`the writer of ${writer.directory} is killed`);
    await writer.kill();
    writer.start();
  }

  async #outage(outage: Outage, ms: number): Promise<void> {
    const { proxy, tally } = this.#scene;
    tally.add('outages');
    tally.addTo('outages', outage.kind);
    this.#scene.trace(`outage: ${outage.kind}`);
    this.#isInTrouble = true;
    if (outage.kind === 'refused') await proxy.cut();
    else proxy.mode = outage;
    await this.#wait(ms);
    if (outage.kind === 'refused') await proxy.open();
    else proxy.mode = { kind: 'pass' };
    this.#scene.trace('the store is back');
    await delay(CALM_AFTER_MS, undefined, { ref: false }).then(() => (this.#isInTrouble = false));
  }

  #wait(ms: number): Promise<void> {
    return delay(ms, undefined, { signal: this.#signal }).catch(() => undefined);
  }
}
