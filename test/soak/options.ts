/** The words of `npm run soak -- …`. */
import { parseArgs } from 'node:util';

export interface SoakOptions {
  readonly minutes: number;
  /** Of all decisions: which disturbance, how long, which pause. Not of what the machine makes of them. */
  readonly seed: number;
  /** Transactions a second of all databases together. */
  readonly rate: number;
  /** Seconds of disturbances before everything is compared. */
  readonly cycleSeconds: number;
  /** Cycles before a fresh database and fresh stores: what bounds the disk. */
  readonly epochCycles: number;
}

/** @throws TypeError on an unknown flag or a number that is none */
export function parseOptions(argv: readonly string[]): SoakOptions {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      minutes: { type: 'string', default: '2' },
      seed: { type: 'string', default: String(Math.floor(Math.random() * 1_000_000)) },
      rate: { type: 'string', default: '500' },
      'cycle-seconds': { type: 'string', default: '20' },
      'epoch-cycles': { type: 'string', default: '6' },
    },
  });
  return {
    minutes: positive('minutes', values.minutes),
    seed: positive('seed', values.seed),
    rate: positive('rate', values.rate),
    cycleSeconds: positive('cycle-seconds', values['cycle-seconds']),
    epochCycles: positive('epoch-cycles', values['epoch-cycles']),
  };
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0) throw new TypeError(`--${name} ${text} is no number`);
  return value;
}
