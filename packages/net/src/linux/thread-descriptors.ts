import { descriptorLimit } from '../descriptors.js';
import { type Libc, loadLibc } from './libc.js';

/** The default of fs.nr_open (proc(5)): no process has a descriptor with a higher number. */
const NR_OPEN = 1024 * 1024;

/**
 * Which thread opened each descriptor, in memory that threads share. Node closes what a thread opened by it when that thread ends,
 * whichever way; nobody closes what it opened by the linux engine, unless another thread does.
 *
 * A thread that is terminated between a system call and its note leaves that one descriptor open.
 */
export class ThreadDescriptors {
  /** By descriptor: the number of its thread, 0: none. */
  readonly #owners: Uint16Array;

  /** @param memory of another thread's; default: new memory */
  constructor(readonly memory = new SharedArrayBuffer(2 * Math.min(descriptorLimit() ?? NR_OPEN, NR_OPEN))) {
    this.#owners = new Uint16Array(memory);
  }

  /**
   * In a thread, before it uses the linux engine: from now on what it opens is noted.
   * @param thread its number, from 1 to 65,535; no other thread has it
   * @throws where the engine does not load
   */
  note(thread: number): void {
    const libc = loadLibc();
    const { close } = libc;
    const opened = (fd: number) => {
      if (fd >= 0) this.#owners[fd] = thread;
      return fd;
    };
    for (const name of ['socket', 'accept4', 'epoll_create1', 'eventfd'] as const) {
      const call = libc[name] as (...values: unknown[]) => number;
      (libc as Record<typeof name, typeof call>)[name] = (...values) => opened(call(...values));
    }
    libc.close = (fd) => {
      // First: another thread may get the number at once.
      this.#owners[fd] = 0;
      return close(fd);
    };
  }

  /** How many descriptors a thread has open. */
  count(thread: number): number {
    return this.#owners.reduce((count, owner) => (owner === thread ? count + 1 : count), 0);
  }

  /** Closes what a thread left open, in another one. To be called after its end. @returns how many */
  close(thread: number): number {
    const libc: Libc = loadLibc();
    let closed = 0;
    for (let fd = this.#owners.indexOf(thread); fd >= 0; fd = this.#owners.indexOf(thread, fd + 1)) {
      this.#owners[fd] = 0;
      libc.close(fd);
      closed++;
    }
    return closed;
  }
}
