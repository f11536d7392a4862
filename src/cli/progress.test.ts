/**
 * Invariant: progress never mixes with other lines of the same stream, is never more often than its look wants, and
 * leaves nothing on the terminal.
 */
import { describe, expect, test } from 'vitest';
import type { RestoreProgress } from '../restore/restore.ts';
import { formatBar, formatPlain, ProgressDisplay, type ProgressMode, RateMeter } from './progress.ts';

const MIB = 2 ** 20;
const at = (bytesDone: number, phase: RestoreProgress['phase'] = 'fetch'): RestoreProgress => ({
  phase,
  bytesDone,
  bytesTotal: 100 * MIB,
  objectsDone: 1,
  objectsTotal: 2,
});

function open(mode: ProgressMode, { isTTY = false, columns = 100 } = {}) {
  let now = 0;
  const written: string[] = [];
  const stream = { isTTY, columns, write: (text: string) => written.push(text) };
  const display = new ProgressDisplay({ mode, stream, monotonic: () => now });
  const show = (ms: number, progress: RestoreProgress) => {
    now = ms;
    display.show(progress);
  };
  return { display, written, show };
}

/** What a terminal shows in the end, line by line. */
function screen(written: readonly string[]): string[] {
  const lines = [''];
  for (const part of written.join('').split(/(\r\u001b\[K|\n)/)) {
    if (part === '\n') lines.push('');
    else if (part.startsWith('\r')) lines[lines.length - 1] = '';
    else lines[lines.length - 1] += part;
  }
  return lines;
}

describe('plain', () => {
  test('a line for each phase and every five seconds, and none for what is soon over', () => {
    const { written, show } = open('auto');
    show(0, { ...at(0, 'plan'), bytesTotal: 0 });
    for (let ms = 0; ms <= 10_000; ms += 100) show(ms, at(ms * 1000));
    show(10_001, at(100 * MIB, 'sync'));
    show(10_002, at(100 * MIB, 'done'));
    expect(written).toEqual([
      'restoring    1 %  1.9 MiB of 100 MiB  977 KiB/s  1:43 min left\n',
      'restoring    6 %  6.7 MiB of 100 MiB  977 KiB/s  1:38 min left\n',
      'syncing to disk\n',
    ]);
    const soon = open('auto');
    for (const phase of ['plan', 'fetch', 'sync', 'done'] as const) soon.show(1_999, at(0, phase));
    expect(soon.written).toEqual([]);
  });
});

describe('bar', () => {
  test('in place, at most ten a second, and gone in the end', () => {
    const { written, show, display } = open('auto', { isTTY: true });
    for (let ms = 0; ms < 1000; ms += 10) show(ms, at(ms * 1000));
    expect(written).toHaveLength(10);
    expect(screen(written)).toEqual([expect.stringMatching(/^\[#*\.+\] restoring .* left$/)]);
    show(1001, at(100 * MIB, 'done'));
    display.clear();
    expect(screen(written)).toEqual(['']);
  });

  test('log lines stand above it', () => {
    const { written, show, display } = open('auto', { isTTY: true });
    show(0, at(0));
    display.stream.write('a warning\n');
    expect(screen(written)).toEqual(['a warning', expect.stringMatching(/^\[\.+\] restoring/)]);
    display.clear();
    display.stream.write('the end\n');
    expect(screen(written)).toEqual(['a warning', 'the end', '']);
  });

  test('never wider than the terminal', () => {
    expect(formatBar(at(50 * MIB), { bytesPerSecond: 1e6, etaMs: 1e6 }, 40)).toHaveLength(39);
    expect(formatBar(at(50 * MIB), { bytesPerSecond: 0, etaMs: null }, 200)).toBe(
      '[############............] restoring   50 %  50.0 MiB of 100 MiB',
    );
  });

  test('of several databases the one that is being restored is named', () => {
    const line = formatPlain({ ...at(50 * MIB), database: 'replica 3' }, { bytesPerSecond: 0, etaMs: null });
    expect(line).toMatch(/^restoring replica 3 {2}/);
  });

  test('a total that was too small fills the bar and no more', () => {
    expect(formatPlain({ ...at(300 * MIB) }, { bytesPerSecond: 0, etaMs: null })).toContain('100 %');
  });
});

test('json is one document a line', () => {
  const { written, show } = open('json');
  show(0, at(0));
  show(5000, at(10 * MIB));
  expect(written.map((line) => JSON.parse(line) as unknown)).toEqual([
    { ...at(0), bytesPerSecond: 0 },
    { ...at(10 * MIB), bytesPerSecond: 2 * MIB },
  ]);
});

test('none says nothing', () => {
  const { written, show } = open('none', { isTTY: true });
  show(0, at(0));
  expect(written).toEqual([]);
});

test('the rate is that of the last ten seconds', () => {
  const meter = new RateMeter();
  meter.measure(0, at(0));
  meter.measure(10_000, at(90 * MIB));
  expect(meter.measure(20_000, at(91 * MIB))).toEqual({ bytesPerSecond: MIB / 10, etaMs: 90_000 });
});
