import { constants } from 'node:os';

/** Error numbers by their names, of this machine (errno(3)). */
export const ERRNO = constants.errno;

const NAMES = new Map(Object.entries(ERRNO).map(([name, number]) => [number, name]));
// EAGAIN and EWOULDBLOCK are one number; the first is what people search for.
NAMES.set(ERRNO.EAGAIN, 'EAGAIN');

export function errorName(errno: number): string {
  return NAMES.get(errno) ?? `errno ${errno}`;
}

/** An error as Node's own system calls throw it. */
export function systemError(errno: number, call: string): NodeJS.ErrnoException {
  const code = errorName(errno);
  return Object.assign(new Error(`${call} ${code}`), { code, errno: -errno, syscall: call });
}
