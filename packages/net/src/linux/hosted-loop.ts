import { performance } from 'node:perf_hooks';
import type { Loop } from './loop.js';
import type { Uv } from './uv.js';

// <uv.h>
const UV_POLL = 8;
const UV_READABLE = 1;
/** uv_handle_t.handle_queue: after data, loop, type and close_cb. */
const HANDLE_QUEUE = 32n;

/**
 * A turn with so many events is followed by another one, with no sleep in between, until one has none. Meanwhile libuv does not watch the
 * epoll descriptor: that would make each event of each connection an event of two epoll descriptors.
 */
const BUSY = 8;
/** The longest time that setTimeout takes, in milliseconds. */
const MAX_TIMEOUT = 2 ** 31 - 1;
/** After this time it is the turn of Node's event loop, in milliseconds. */
const BUDGET_MS = 1.5;

/**
 * Runs a loop in a thread that has Node's event loop, too. That one sleeps for both: libuv watches the loop's epoll descriptor, which is
 * readable when one of its descriptors is ready (epoll descriptors nest, epoll(7)). A turn runs as an immediate, after libuv has polled:
 * promises, ticks, timers and messages go on as usual, and an exception is one of the program.
 *
 * The thread goes on for as long as the loop has holders.
 */
export class HostedLoop {
  readonly #handle: bigint;
  /** A callback that does nothing: whether the handle is active. */
  readonly #callback: bigint;
  /** Whether libuv watches the epoll descriptor; else Node's event loop does not sleep. */
  #watched = false;
  #busy = false;
  #held = false;
  #turning = false;
  /** Unreferenced, it waits with Node's event loop, and runs whenever that one wakes up; referenced, it does not let it sleep. */
  #immediate: NodeJS.Immediate | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** When the timer fires, by `performance.now()`. */
  #timerAt = Number.POSITIVE_INFINITY;

  /** @throws where libuv cannot watch it */
  constructor(
    private readonly uv: Uv,
    private readonly loop: Loop,
  ) {
    this.#handle = open(uv, loop.epoll);
    this.#callback = uv.symbol('uv_is_active');
    uv.unref(this.#handle);
    loop.onChange = () => {
      if (!this.#turning) this.#prepare();
    };
  }

  readonly #turn = (): void => {
    this.#immediate = undefined;
    this.#turning = true;
    try {
      const until = performance.now() + BUDGET_MS;
      do {
        const events = this.loop.turn(0, until);
        this.#busy = events >= BUSY || (this.#busy && events > 0);
      } while (this.#busy && performance.now() < until);
    } finally {
      this.#turning = false;
      this.#prepare();
    }
  };

  readonly #timerFired = (): void => {
    this.#timerAt = Number.POSITIVE_INFINITY;
    clearImmediate(this.#immediate);
    this.#turn();
  };

  /** Sees to it that the next turn runs when it is due. */
  #prepare(): void {
    const { size, holders, wait } = this.loop;
    const held = holders > 0;
    if (held !== this.#held) this.uv[held ? 'ref' : 'unref'](this.#handle);
    this.#held = held;
    if (size > 0 || wait === 0) this.#immediate ??= setImmediate(this.#turn);
    const sleeps = wait > 0 && !this.#busy;
    this.#watch(!this.#busy);
    if (!sleeps) this.#immediate?.ref();
    else this.#immediate?.unref();
    if (wait > 0) this.#setTimer(wait);
  }

  #watch(on: boolean): void {
    if (on === this.#watched) return;
    this.#watched = on;
    if (on) check(this.uv.poll_start(this.#handle, UV_READABLE, this.#callback), 'uv_poll_start');
    else check(this.uv.poll_stop(this.#handle), 'uv_poll_stop');
  }

  #setTimer(wait: number): void {
    const at = performance.now() + wait;
    if (at >= this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timerAt = at;
    this.#timer = setTimeout(this.#timerFired, Math.ceil(Math.min(wait, MAX_TIMEOUT))).unref();
  }
}

/** The memory of handles: they live as long as their thread. */
const handles: Buffer[] = [];

/** Opens a handle that polls a descriptor. It calls nothing of JavaScript, which would end the process at a thread's end. */
function open(uv: Uv, fd: number): bigint {
  const memory = Buffer.alloc(Number(uv.handle_size(UV_POLL)));
  const handle = BigInt(uv.address(memory));
  handles.push(memory);
  check(uv.poll_init(uv.loop, handle, fd), 'uv_poll_init');
  // At the end of the thread Node's loop must have no handle left. uv_close needs a turn of it; but stopped, the handle is nothing
  // but a member of the loop's list (struct uv__queue has the layout of struct qelem, insque(3)).
  uv.atCleanup(uv.symbol('remque'), handle + HANDLE_QUEUE);
  uv.atCleanup(uv.symbol('uv_poll_stop'), handle);
  return handle;
}

function check(result: number, call: string): void {
  if (result < 0) throw new Error(`${call} failed: ${result}`);
}
