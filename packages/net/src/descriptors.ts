import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';

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
 * Whether an accepted connection uses one of the reserved descriptors: the kernel assigns the lowest free
 * number (open(2)). With none left, libuv closes connections without telling Node (uv__emfile_trick,
 * libuv/src/unix/stream.c), so that they could not be counted.
 * @param limit of {@link descriptorLimit}; undefined: false
 */
export function takesReserve(socket: Socket, limit: number | undefined): boolean {
  if (limit === undefined) return false;
  // Not public in Node. On a platform without descriptors (Windows: -1) every connection is accepted.
  const fd = (socket as Socket & { _handle?: { fd?: unknown } | null })._handle?.fd;
  return typeof fd === 'number' && fd >= limit - Math.min(RESERVE, limit >> 2);
}
