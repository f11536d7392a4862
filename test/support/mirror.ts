/** A store's objects as files: for readers of directories. */
import { mkdir, writeFile } from 'node:fs/promises';

export interface MirroredClient {
  list(prefix: string): AsyncIterable<{ readonly key: string }>;
  get(key: string): Promise<{ readonly body: AsyncIterable<Uint8Array> }>;
}

/** Copies all objects below a destination to files below `root`, which is made. */
export async function mirror(client: MirroredClient, root: string): Promise<void> {
  await mkdir(root, { recursive: true });
  for await (const { key } of client.list('')) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of (await client.get(key)).body) chunks.push(chunk);
    const path = `${root}/${key}`;
    await mkdir(path.slice(0, path.lastIndexOf('/')), { recursive: true });
    await writeFile(path, Buffer.concat(chunks));
  }
}
