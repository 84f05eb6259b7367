import { performance } from 'node:perf_hooks';
import { ERRNO, systemError } from './errno.js';
import { epollEvent } from './layout.js';
import type { Libc } from './libc.js';
import { type Timer, TimerWheel } from './timer-wheel.js';

// <linux/eventpoll.h>
const EPOLL_CLOEXEC = 0o2000000;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
export const EPOLLIN = 1;
export const EPOLLOUT = 4;
export const EPOLLERR = 8;
export const EPOLLHUP = 0x10;
export const EPOLLRDHUP = 0x2000;
const EPOLLET = 0x8000_0000;
/** Since Linux 4.5. */
const EPOLLEXCLUSIVE = 0x1000_0000;

/** Events per epoll_wait(2). With more, the kernel goes on with the others in the next call (ep_send_events). */
const MAX_EVENTS = 64;
/** Events between two looks at the clock. */
const EVENTS_PER_LOOK = 16;
/** The longest timeout of epoll_wait(2), in milliseconds. */
const MAX_WAIT = 2 ** 31 - 1;
const EVENT = epollEvent(process.arch);

interface Watch {
  generation: number;
  /** What it is registered for. */
  events: number;
  handler: EdgeHandler;
}

/** Takes what the kernel tells of a descriptor: a mask of EPOLLIN and its like. */
export interface EdgeHandler {
  onEvents(events: number): void;
}

/** Something to be done in a later part of a turn. */
export interface Job {
  run(): void;
}

/**
 * Waits for any number of descriptors (epoll(7)), level-triggered or edge-triggered, for timers, and for jobs that were left for
 * later. It knows nothing of what they are. Each turn calls what is ready once, so that none starves another.
 *
 * Exceptions of what it calls pass through; the next turn goes on where the failed one stopped, as an edge is told once.
 *
 * A thread runs it by calling {@link turn} again and again: in a loop of its own, which blocks, or from Node's event loop
 * (hosted-loop.ts).
 */
export class Loop {
  readonly epoll: number;
  /** Called when a descriptor, a timer or a job was added or removed. */
  onChange: () => void = () => undefined;
  /** What may call back by itself: the thread goes on for as long as there is any. See {@link hold}. */
  holders = 0;
  /** By descriptor. */
  readonly #watched: (Watch | undefined)[] = [];
  #size = 0;
  readonly #timers = new TimerWheel(performance.now());
  #jobs: Job[] = [];
  /** Jobs of this turn, and how many of them were done. */
  #running: Job[] = [];
  #done = 0;
  /** Tells an event of a descriptor from one of an earlier descriptor with the same number. */
  #generation = 0;
  /** Kept in fields: the kernel is given their addresses. */
  readonly #events = new Uint32Array((MAX_EVENTS * EVENT.size) / 4);
  readonly #event = Buffer.alloc(EVENT.size);
  readonly #address: bigint;
  /** Events in the array, and how many of them were passed on. */
  #count = 0;
  #passed = 0;

  /** @throws the system's error */
  constructor(private readonly libc: Libc) {
    this.#address = libc.address(Buffer.from(this.#events.buffer));
    this.epoll = libc.epoll_create1(EPOLL_CLOEXEC);
    if (this.epoll < 0) throw systemError(libc.errno(), 'epoll_create1');
  }

  /** Descriptors that are watched. */
  get size(): number {
    return this.#size;
  }

  /** Whether the next turn has something to do at once. */
  get busy(): boolean {
    return this.#jobs.length > 0 || this.#done < this.#running.length || this.#passed < this.#count;
  }

  /** Calls `onReadable` in each turn in which the descriptor is readable. @throws the system's error */
  add(fd: number, onReadable: () => void): void {
    this.#watch(fd, EPOLLIN, { onEvents: onReadable });
  }

  /**
   * Calls the handler each time that the descriptor became readable or writable, was ended by its peer, or failed: once, so that the
   * called one must go on until EAGAIN, or remember that it did not. What it is when it is added counts, too.
   * @throws the system's error
   */
  addEdge(fd: number, handler: EdgeHandler): void {
    this.#watch(fd, (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET) >>> 0, handler);
  }

  /**
   * As {@link addEdge}, for a listening descriptor that loops of other threads have, too: a connection that comes wakes one of those that
   * wait, or some of them (epoll_ctl(2), EPOLLEXCLUSIVE). A loop in Node's event loop waits by another epoll descriptor, so all of them wake.
   * @throws the system's error
   */
  addShared(fd: number, handler: EdgeHandler): void {
    this.#watch(fd, (EPOLLIN | EPOLLET | EPOLLEXCLUSIVE) >>> 0, handler);
  }

  /**
   * Registers a descriptor again after dup2(2) made it another open file: the registration was the old file's, and
   * ended with it (epoll(7), Questions and answers). @throws the system's error
   */
  renew(fd: number): void {
    const watch = this.#watched[fd];
    if (watch) this.#register(fd, watch);
  }

  /** Before the descriptor is closed. Nothing is called for it from now on, not even in this turn. */
  remove(fd: number): void {
    if (!this.forget(fd)) return;
    if (this.libc.epoll_ctl(this.epoll, EPOLL_CTL_DEL, fd, null) === 0) return;
    const errno = this.libc.errno();
    // It was made another open file, and not registered again.
    if (errno !== ERRNO.ENOENT) throw systemError(errno, 'epoll_ctl');
  }

  /**
   * As {@link remove}, for a descriptor that is closed at once and has no duplicate: the kernel then removes it by itself.
   * @returns whether it was watched
   */
  forget(fd: number): boolean {
    if (!this.#watched[fd]) return false;
    this.#watched[fd] = undefined;
    this.#size--;
    this.onChange();
    return true;
  }

  /** Runs a job in the last part of this turn, or of the next one. */
  defer(job: Job): void {
    this.#jobs.push(job);
    this.onChange();
  }

  /** Says that something began (1) or ceased (-1) to wait for what only the loop tells. */
  hold(change: 1 | -1): void {
    this.holders += change;
    this.onChange();
  }

  /**
   * Calls a timer's `onDue` after a time in milliseconds, once. A timer that was set already is set to this time.
   * @throws RangeError if the time is longer than 2^31 - 1 ms, 24.8 days, or no number
   */
  setTimer(timer: Timer, ms: number): void {
    if (!(ms <= MAX_WAIT)) throw new RangeError(`a timer of ${ms} ms: the limit is ${MAX_WAIT} ms`);
    this.#timers.set(timer, performance.now() + ms);
    this.onChange();
  }

  clearTimer(timer: Timer): void {
    this.#timers.clear(timer);
  }

  /** How long a turn may wait, in milliseconds, apart from descriptors; infinite: as long as it likes. */
  get wait(): number {
    if (this.busy) return 0;
    return this.#timers.size === 0 ? Number.POSITIVE_INFINITY : this.#timers.wait(performance.now());
  }

  /**
   * Waits until something is ready, for `timeout` milliseconds at most (-1: indefinitely), and calls all that is.
   * @returns the events that the kernel reported last
   * @param until after this time, by `performance.now()`, the next turn goes on where this one stops
   */
  turn(timeout: number, until = Number.POSITIVE_INFINITY): number {
    if (this.#done === this.#running.length) {
      if (this.#passed === this.#count) this.#receive(timeout);
      if (!this.#passAll(until)) return this.#count;
      this.#takeJobs();
    }
    if (this.#timers.size > 0) this.#runTimers();
    this.#runJobs(until);
    return this.#count;
  }

  close(): void {
    // Not by Node, which warns of descriptors that it did not open in this thread (trackUnmanagedFds).
    this.libc.close(this.epoll);
  }

  #watch(fd: number, events: number, handler: EdgeHandler): void {
    if (this.#watched[fd]) throw new RangeError(`descriptor ${fd} is watched already`);
    this.#generation = (this.#generation + 1) >>> 0;
    const watch = { generation: this.#generation, events, handler };
    this.#register(fd, watch);
    this.#watched[fd] = watch;
    this.#size++;
    this.onChange();
  }

  #register(fd: number, { generation, events }: Watch): void {
    this.#event.writeUInt32LE(events, EVENT.events);
    this.#event.writeUInt32LE(fd, EVENT.data);
    this.#event.writeUInt32LE(generation, EVENT.data + 4);
    if (this.libc.epoll_ctl(this.epoll, EPOLL_CTL_ADD, fd, this.#event) === 0) return;
    const errno = this.libc.errno();
    // Registered already, if it is the same open file.
    if (errno !== ERRNO.EEXIST) throw systemError(errno, 'epoll_ctl');
  }

  /** Fills the array of events. */
  #receive(timeout: number): void {
    const wait = Math.ceil(this.wait);
    const limit = timeout < 0 ? wait : Math.min(timeout, wait);
    const ms = limit === Number.POSITIVE_INFINITY ? -1 : Math.min(limit, MAX_WAIT);
    this.#passed = 0;
    this.#count = 0;
    const count = this.libc.epoll_wait(this.epoll, this.#address, MAX_EVENTS, ms);
    if (count >= 0) {
      this.#count = count;
      return;
    }
    const errno = this.libc.errno();
    if (errno !== ERRNO.EINTR) throw systemError(errno, 'epoll_wait');
  }

  /** @returns whether all events were passed on */
  #passAll(until: number): boolean {
    while (this.#passed < this.#count) {
      this.#pass(this.#passed++);
      if (this.#passed % EVENTS_PER_LOOK === 0 && isPast(until)) break;
    }
    return this.#passed === this.#count;
  }

  #pass(index: number): void {
    const at = (index * EVENT.size) / 4;
    const data = at + EVENT.data / 4;
    const watch = this.#watched[this.#events[data]!];
    // An earlier call of this turn may have removed it.
    if (watch?.generation !== this.#events[data + 1]) return;
    watch?.handler.onEvents(this.#events[at + EVENT.events / 4]!);
  }

  #runTimers(): void {
    const now = performance.now();
    for (let timer = this.#timers.take(now); timer; timer = this.#timers.take(now)) timer.onDue();
  }

  /** The jobs that wait now are those of this turn; those that they defer wait for the next one. */
  #takeJobs(): void {
    const free = this.#running;
    this.#running = this.#jobs;
    free.length = 0;
    this.#jobs = free;
    this.#done = 0;
  }

  #runJobs(until: number): void {
    while (this.#done < this.#running.length) {
      this.#running[this.#done++]!.run();
      if (this.#done < this.#running.length && isPast(until)) return;
    }
    this.#running.length = 0;
    this.#done = 0;
  }
}

/** Whether a time is past. The clock is not read for an infinite one. */
function isPast(time: number): boolean {
  return time !== Number.POSITIVE_INFINITY && performance.now() >= time;
}
