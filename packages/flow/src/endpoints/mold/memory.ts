import { failure } from 'mproxy-base';

/**
 * What packets of MoldUDP64 are made in, or taken apart.
 * @param which what the user calls it
 * @throws MPROXY_MEMORY
 */
export function takeMemory<T>(which: string, take: () => T): T {
  try {
    return take();
  } catch (error) {
    // A RangeError where the system has no memory.
    throw failure('MPROXY_MEMORY', 'mold', which, (error as Error).message);
  }
}
