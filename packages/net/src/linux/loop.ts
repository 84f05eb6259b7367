import { ERRNO, systemError } from './errno.js';
import { epollEvent } from './layout.js';
import type { Libc } from './libc.js';

// <linux/eventpoll.h>
const EPOLL_CLOEXEC = 0o2000000;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLLIN = 1;

/** Events per epoll_wait(2). With more, the kernel goes on with the others in the next call (ep_send_events). */
const MAX_EVENTS = 64;
const EVENT = epollEvent(process.arch);

interface Watch {
  generation: number;
  onReadable: () => void;
}

/**
 * Waits for any number of descriptors, level-triggered (epoll(7)). It knows nothing of what they are. Each turn
 * calls what is readable once, so that none starves another.
 */
export class Loop {
  readonly #epoll: number;
  readonly #watched = new Map<number, Watch>();
  /** Tells an event of a descriptor from one of an earlier descriptor with the same number. */
  #generation = 0;
  /** Kept in fields: the kernel is given their addresses. */
  readonly #events = Buffer.alloc(MAX_EVENTS * EVENT.size);
  readonly #event = Buffer.alloc(EVENT.size);
  readonly #address: bigint;

  /** @throws the system's error */
  constructor(private readonly libc: Libc) {
    this.#address = libc.address(this.#events);
    this.#epoll = libc.epoll_create1(EPOLL_CLOEXEC);
    if (this.#epoll < 0) throw systemError(libc.errno(), 'epoll_create1');
  }

  /** Calls `onReadable` in each turn in which the descriptor is readable. @throws the system's error */
  add(fd: number, onReadable: () => void): void {
    if (this.#watched.has(fd)) throw new RangeError(`descriptor ${fd} is watched already`);
    this.#generation = (this.#generation + 1) >>> 0;
    this.#register(fd, this.#generation);
    this.#watched.set(fd, { generation: this.#generation, onReadable });
  }

  /**
   * Registers a descriptor again after dup2(2) made it another open file: the registration was the old file's, and
   * ended with it (epoll(7), Questions and answers). @throws the system's error
   */
  renew(fd: number): void {
    const watch = this.#watched.get(fd);
    if (watch) this.#register(fd, watch.generation);
  }

  /** Before the descriptor is closed. Nothing is called for it from now on, not even in this turn. */
  remove(fd: number): void {
    if (!this.#watched.delete(fd)) return;
    if (this.libc.epoll_ctl(this.#epoll, EPOLL_CTL_DEL, fd, null) === 0) return;
    const errno = this.libc.errno();
    // It was made another open file, and not registered again.
    if (errno !== ERRNO.ENOENT) throw systemError(errno, 'epoll_ctl');
  }

  /** Waits for a readable descriptor, for `timeout` milliseconds at most (-1: indefinitely), and calls all. */
  turn(timeout: number): void {
    const count = this.libc.epoll_wait(this.#epoll, this.#address, MAX_EVENTS, timeout);
    if (count < 0) {
      const errno = this.libc.errno();
      if (errno === ERRNO.EINTR) return;
      throw systemError(errno, 'epoll_wait');
    }
    for (let i = 0; i < count; i++) {
      const at = i * EVENT.size + EVENT.data;
      const watch = this.#watched.get(this.#events.readUInt32LE(at));
      // An earlier call of this turn may have removed it.
      if (watch?.generation === this.#events.readUInt32LE(at + 4)) watch.onReadable();
    }
  }

  close(): void {
    // Not by Node, which warns of descriptors that it did not open in this thread (trackUnmanagedFds).
    this.libc.close(this.#epoll);
  }

  #register(fd: number, generation: number): void {
    this.#event.writeUInt32LE(EPOLLIN, EVENT.events);
    this.#event.writeUInt32LE(fd, EVENT.data);
    this.#event.writeUInt32LE(generation, EVENT.data + 4);
    if (this.libc.epoll_ctl(this.#epoll, EPOLL_CTL_ADD, fd, this.#event) === 0) return;
    const errno = this.libc.errno();
    // Registered already, if it is the same open file.
    if (errno !== ERRNO.EEXIST) throw systemError(errno, 'epoll_ctl');
  }
}
