import { failure } from 'mproxy-base';

/**
 * Allocates memory for building or parsing MoldUDP64 packets.
 * @param which its name in the error
 * @throws MPROXY_MEMORY
 */
export function takeMemory<T>(which: string, allocate: () => T): T {
  try {
    return allocate();
  } catch (error) {
    throw failure('MPROXY_MEMORY', 'mold', which, (error as Error).message);
  }
}
