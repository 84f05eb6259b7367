import { readFileSync } from 'node:fs';

/** Descriptors not used for connections: for files, name resolution, interface lists and other sockets. */
const RESERVE = 16;

/** The soft limit of this process's descriptors (proc(5)); undefined where the system does not report it. */
export function descriptorLimit(): number | undefined {
  try {
    const soft = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    // Not Linux, or no /proc.
    return undefined;
  }
}

/**
 * Whether a new descriptor is one of the reserved: the kernel assigns the lowest free number (open(2)). With none left, libuv
 * closes connections without telling Node (uv__emfile_trick, libuv/src/unix/stream.c), so that they could not be counted.
 * @param fd undefined on a platform without descriptors: false
 * @param limit of {@link descriptorLimit}; undefined: false
 */
export function takesReserve(fd: number | undefined, limit: number | undefined): boolean {
  return limit !== undefined && fd !== undefined && fd >= limit - Math.min(RESERVE, limit >> 2);
}
