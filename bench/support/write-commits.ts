/** Runs the commit writer to its end. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { WriterOrder, WriterReport } from './commit-writer.ts';

const WRITER = fileURLToPath(new URL('commit-writer.ts', import.meta.url));

export async function writeCommits(order: WriterOrder): Promise<WriterReport> {
  const child = spawn(process.execPath, [WRITER, JSON.stringify(order)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const parts: Buffer[] = [];
  child.stdout.on('data', (part: Buffer) => parts.push(part));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`the commit writer ended with ${code}`);
  return JSON.parse(Buffer.concat(parts).toString()) as WriterReport;
}
