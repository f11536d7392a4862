/**
 * Invariant: a copy is what all files held together at one moment, whatever a writer does meanwhile, in whatever order,
 * and however coarse the file system's clock is (up to 10 ms): a mixture of two moments is never taken for a copy.
 */
import { open } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ServerScene } from '../../../test/support/server-scene.ts';
import type { Clock } from '../../core/clock.ts';
import type { FileFacts, ReadableFiles } from '../../core/readable-files.ts';
import { type Micros, micros } from '../../core/types.ts';
import { copyStable } from './stable-copy.ts';
import { survey } from './survey.ts';

const NAMES = ['a', 'b', 'c'] as const;
/** Of a kernel with 100 ticks a second. */
const TICK_MS = 10;

interface Write {
  /** It is done just before this call of the copying is answered. */
  readonly call: number;
  readonly file: number;
  readonly value: number;
}

/** Three files of one byte on a disk whose every call takes time, in which a writer writes as scheduled. */
class MovingDisk implements Clock {
  #ms = 100;
  readonly #due: Write[];
  readonly #values = [0, 0, 0];
  readonly #changed = [0, 0, 0];
  readonly #callMs: number;
  #calls = 0;
  /** Every state that the disk was in. */
  readonly states = new Set(['000']);

  constructor(writes: readonly Write[], callMs: number) {
    this.#due = writes.toSorted((x, y) => x.call - y.call);
    this.#callMs = callMs;
  }

  now(): Micros {
    return micros(BigInt(Math.round(this.#ms * 1000)));
  }

  monotonic(): number {
    return this.#ms;
  }

  async sleep(ms: number): Promise<void> {
    this.#ms += ms;
  }

  async #call<T>(answer: () => T): Promise<T> {
    this.#calls += 1;
    this.#ms += this.#callMs;
    for (let next = this.#due[0]; next && next.call <= this.#calls; next = this.#due[0]) {
      this.#due.shift();
      this.#values[next.file] = next.value;
      this.#changed[next.file] = Math.floor(this.#ms / TICK_MS) * TICK_MS;
      this.states.add(this.#values.join(''));
    }
    return answer();
  }

  #factsOf(index: number): FileFacts {
    const mtime = BigInt(this.#changed[index] ?? 0);
    return { kind: 'file', size: 1, device: 1n, inode: BigInt(index), mtime };
  }

  readonly files: ReadableFiles = {
    list: (path) => this.#call(() => (path.endsWith('control-db') ? [...NAMES] : null)),
    facts: (path) => this.#call(() => this.#factsAt(path)),
    open: (path) =>
      this.#call(() => {
        const index = indexOf(path);
        return {
          path,
          facts: () => this.#call(() => this.#factsOf(index)),
          read: (target, position) =>
            this.#call(() => {
              if (position > 0 || target.byteLength === 0) return 0;
              target[0] = this.#values[index] ?? 0;
              return 1;
            }),
          close: async () => undefined,
          [Symbol.asyncDispose]: async () => undefined,
        };
      }),
  };

  #factsAt(path: string): FileFacts | null {
    const index = indexOf(path);
    return index < 0 ? null : this.#factsOf(index);
  }
}

const indexOf = (path: string): number => NAMES.findIndex((name) => path.endsWith(`control-db/${name}`));

async function copyOf(disk: MovingDisk): Promise<string | null> {
  const options = { files: disk.files, dataDirectory: '/data', extraFiles: [] };
  const look = () => survey(options);
  const before = await look();
  if (before === null) throw new Error('the disk has files');
  const copy = await copyStable(before, {
    ...disk,
    files: disk.files,
    clock: disk,
    look,
    signal: new AbortController().signal,
  });
  return copy?.files.map(({ plain }) => String(plain[0])).join('') ?? null;
}

test('writes at any moments: a copy is a state that the disk was in', async () => {
  // Few values: files change back to what they were.
  const write = fc.record({ call: fc.nat(32), file: fc.nat(2), value: fc.nat(3) });
  const writes = fc.array(write, { maxLength: 14, size: 'max' });
  let copies = 0;
  let refusals = 0;
  await fc.assert(
    fc.asyncProperty(writes, fc.constantFrom(0.1, 0.3, 1, 3), async (schedule, callMs) => {
      const disk = new MovingDisk(schedule, callMs);
      const copy = await copyOf(disk);
      if (copy === null) refusals += 1;
      else copies += 1;
      if (copy !== null) expect(disk.states).toContain(copy);
    }),
    { numRuns: 4000 },
  );
  // Both come about often enough that the property says something.
  expect(copies).toBeGreaterThan(100);
  expect(refusals).toBeGreaterThan(100);
});

test('a quiet disk is copied at the first try', async () => {
  expect(await copyOf(new MovingDisk([], 1))).toBe('000');
});

// Calls 1 to 6 look, 7 to 12 read the three files, 13 to 18 look, 19 to 24 read again, 25 to 30 look.
const [A, C] = [0, 2];
/** Both files are in this tick already, so that another write in it changes no time. */
const TOUCH: readonly Write[] = [
  { call: 1, file: A, value: 0 },
  { call: 1, file: C, value: 0 },
];
/** After A was read and before C is: A, then C. */
const forthAfter = (call: number): Write[] => [
  { call, file: A, value: 1 },
  { call, file: C, value: 1 },
];
const backAfter = (call: number): Write[] => [
  { call, file: C, value: 0 },
  { call, file: A, value: 0 },
];

test.each<[string, readonly Write[]]>([
  ['within one tick, which no time tells', [...TOUCH, ...forthAfter(9)]],
  [
    'and back, and the same again under the second reading, which no byte tells',
    [...TOUCH, ...forthAfter(9), ...backAfter(13), ...forthAfter(21), ...backAfter(25)],
  ],
])('A and C change between the readings of the two, %s: refused', async (_, schedule) => {
  for (const callMs of [0.1, 1]) expect(await copyOf(new MovingDisk(schedule, callMs))).toBeNull();
});

/** One number all over. */
function pageOf(round: number): Buffer {
  const number = Buffer.alloc(4);
  number.writeUInt32LE(round);
  return Buffer.alloc(16 * 1024, number);
}

/** Rewrites a row of files again and again, each carrying one number, in this order, with pauses of all lengths. */
class BusyWriter {
  readonly #paths: readonly string[];
  #isStopped = false;
  rounds = 0;

  constructor(paths: readonly string[]) {
    this.#paths = paths;
  }

  async run(): Promise<void> {
    const handles = await Promise.all(this.#paths.map((path) => open(path, 'r+')));
    try {
      while (!this.#isStopped) {
        this.rounds += 1;
        const page = pageOf(this.rounds);
        for (const handle of handles) await handle.write(page, 0, page.length, 0);
        // A burst of many rounds, then a rest that is mostly too short.
        if (this.rounds % 20 === 0) await delay([5, 20, 60, 150, 250][(this.rounds / 20) % 5]);
      }
    } finally {
      await Promise.all(handles.map((handle) => handle.close()));
    }
  }

  stop(): void {
    this.#isStopped = true;
  }
}

/** In ms; longer by hand. */
const HUNT_MS = Number(process.env['STDB_TEST_COPY_HUNT_MS'] ?? 3_000);

test(
  'a real directory under a busy writer: every stored image is of one moment',
  async () => {
    await using scene = await ServerScene.open();
    const names = ['db', 'conf', 'blobs/1', 'snap.00', 'snap.01'];
    for (const name of names) scene.write(`control-db/${name}`, Buffer.alloc(16 * 1024));
    const busy = new BusyWriter(names.map((name) => scene.at('control-db', name)));
    const writing = busy.run();
    const writer = await scene.writer({ once: false, intervalMs: 5 });
    const running = writer.run(new AbortController().signal);
    await delay(HUNT_MS);
    busy.stop();
    await writing;
    writer.drain();
    await running;
    const images = await scene.images();
    for (const { files, image } of images) {
      const numbers = names.map((name) => {
        const bytes = Buffer.from(files.get(`control-db/${name}`) ?? []);
        const first = bytes.readUInt32LE(0);
        expect(bytes.equals(pageOf(first)), `${image.name} ${name}`).toBe(true);
        return first;
      });
      // The state between two writes of one round is one moment too: earlier files are one round ahead, never two.
      expect(numbers, image.name).toEqual(numbers.toSorted((a, b) => b - a));
      expect((numbers[0] ?? 0) - (numbers.at(-1) ?? 0), image.name).toBeLessThanOrEqual(1);
    }
    expect(images.length).toBeGreaterThan(1);
    expect(Buffer.from(images.at(-1)?.files.get('control-db/db') ?? []).readUInt32LE(0)).toBe(busy.rounds);
  },
  HUNT_MS + 60_000,
);
