import { constants } from 'node:os';

/** This machine's error numbers by name (errno(3)). */
export const ERRNO = constants.errno;

const NAMES = new Map(Object.entries(ERRNO).map(([name, number]) => [number, name]));
// EWOULDBLOCK is the same number; EAGAIN is the better known name.
NAMES.set(ERRNO.EAGAIN, 'EAGAIN');

export function errorName(errno: number): string {
  return NAMES.get(errno) ?? `errno ${errno}`;
}

/** An error like those that Node throws for its own system calls. */
export function systemError(errno: number, call: string): NodeJS.ErrnoException {
  const code = errorName(errno);
  return Object.assign(new Error(`${call} ${code}`), { code, errno: -errno, syscall: call });
}
