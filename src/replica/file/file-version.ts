/**
 * Versions of files. Up to 1 MiB it is the SHA-256 of the content, which costs little because the file is read whole
 * anyway; compare-and-swap is only ever asked of small documents. Longer objects are immutable packs and log objects:
 * hashing 32 MiB at each `head` would read every byte once more, so their version is inode, mtime in nanoseconds and
 * size. Two contents under one such name would need an inode given out anew within one tick of the clock, while more
 * than 1 MiB was written and fsynced in between.
 */
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import type { ObjectVersion } from '../replica-client.ts';

export const HASHED_BYTES_MAX = 1024 * 1024;

export const contentVersion = (content: Uint8Array): ObjectVersion =>
  createHash('sha256').update(content).digest('hex');

export async function statVersion(file: FileHandle): Promise<ObjectVersion> {
  const stats = await file.stat({ bigint: true });
  return `${stats.ino}-${stats.mtimeNs}-${stats.size}`;
}
