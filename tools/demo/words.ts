/** How the demo speaks: colours on a terminal only, numbers as people read them. */

const isTerminal = process.stdout.isTTY === true && !process.env['NO_COLOR'];

const paint =
  (code: number) =>
  (text: string): string =>
    isTerminal ? `\u001b[${code}m${text}\u001b[0m` : text;

export const bold = paint(1);
export const dim = paint(2);
export const green = paint(32);
export const red = paint(31);

const began = performance.now();

/** A line with the seconds since the start. */
export function say(text: string): void {
  console.log(`${dim(`${((performance.now() - began) / 1000).toFixed(1).padStart(5)} s`)}  ${text}`);
}

export function title(text: string): void {
  console.log(`\n${bold(text)}`);
}

export function row(label: string, text: string): void {
  console.log(`  ${label.padEnd(12)}${text}`);
}

export const proven = (text: string): void => console.log(`  ${green('ok')}  ${text}`);

export function bytes(count: number): string {
  return count < 10_000
    ? `${count} bytes`
    : count < 1e6
      ? `${Math.round(count / 1024)} KiB`
      : `${(count / 1048576).toFixed(1)} MiB`;
}

export const milliseconds = (ms: number): string =>
  ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;

/** The value below which `share` of the values lie. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}
