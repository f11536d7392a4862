/**
 * Whether some process holds a lock on a file: by device and inode in proc(5)'s `locks`. Node has no flock(2), and
 * trying to take the lock of a database that is about to start would disturb it.
 */

export interface FileIdentity {
  readonly device: bigint;
  readonly inode: bigint;
}

/** glibc's gnu_dev_major and gnu_dev_minor: how stat(2) packs a device number. */
const major = (device: bigint): bigint => ((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xffff_f000n);
const minor = (device: bigint): bigint => (device & 0xffn) | ((device >> 12n) & 0xffff_ff00n);

/**
 * `held` is proof. `not-seen` is none: locks of other pid namespaces are not listed, and some file systems (btrfs,
 * overlay) show another device there than stat does.
 */
export function lockState(locks: string | null, { device, inode }: FileIdentity): 'held' | 'not-seen' {
  const wanted = `${hex(major(device))}:${hex(minor(device))}:${inode}`;
  const held = locks?.split('\n').some((line) => line.split(/\s+/).includes(wanted)) ?? false;
  return held ? 'held' : 'not-seen';
}

/** The kernel prints both parts as %02x. */
const hex = (value: bigint): string => value.toString(16).padStart(2, '0');
