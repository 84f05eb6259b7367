import { closeSync, writeSync } from 'node:fs';
import type { Worker } from 'node:worker_threads';
import { Batch } from 'mproxy-framing';
import { startWorker } from '#native';
import type { ThreadClients } from '../fanout/thread-clients.js';
import type { Assignment, ServingThread } from './assignment.js';
import { type Command, POSTED, QUIT, type Report, SINGLE, type ThreadData } from './commands.js';
import { systemError } from './errno.js';
import type { Libc } from './libc.js';
import { MAX_OWNERS, Ring } from './ring.js';
import { Senders } from './senders.js';
import { interfaceName } from './socket.js';

const SHUT_RD = 0;
// <linux/eventfd.h>
const EFD_NONBLOCK = 0o4000;
const EFD_CLOEXEC = 0o2000000;
/** Added to an eventfd. */
const ONE = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);
/** How long a drain delivers before it yields to the event loop, in milliseconds. */
const TURN_MS = 2;

/** On exit Node waits for its threads, and would wait indefinitely for one blocked in a system call. */
const running = new Set<ReceivingThread>();
process.on('exit', () => {
  for (const thread of running) thread.quit();
});

export interface ThreadEvents {
  /** The thread takes commands. */
  ready(): void;
  /** The thread let go of a receiver, because of an error if given. Everything that it received is delivered. */
  letGo(assignment: Assignment, error?: unknown): void;
  /** All clients of a listener were closed. */
  clientsClosed(): void;
  /** The thread ended, because of an error if given. */
  exited(error?: unknown): void;
}

interface Served {
  assignment: Assignment;
  slot: number;
  /** Entries of the ring delivered so far, and in all, once the thread let go of it. */
  delivered: number;
  entries: number;
  failure?: { errno: number; call: string } | undefined;
  /** Whether the clients of its thread were there when it began to receive. */
  begun?: boolean;
}

/** The event loop's side of a receiving thread. */
export class ReceivingThread implements ServingThread {
  readonly #worker: Worker;
  readonly #control = new Int32Array(new SharedArrayBuffer(8));
  readonly #eventfd: number;
  readonly #ring = new Ring();
  readonly #senders: Senders;
  readonly #batch = new Batch();
  readonly #slots: (Served | undefined)[] = [];
  readonly #freeSlots: number[] = [];
  readonly #served = new Map<Assignment, Served>();
  /** By their number; they outlive their receiver. */
  readonly #clients = new Map<number, ThreadClients>();
  #more: NodeJS.Immediate | undefined;
  #quits = false;

  /** Whether it serves a single receiver, blocking in its socket, and ends with it. */
  #single = false;

  /** Starts a thread, which keeps the process running while it serves a receiver. @throws the system's error */
  constructor(
    private readonly libc: Libc,
    private readonly events: ThreadEvents,
  ) {
    this.#eventfd = openEventfd(libc);
    this.#senders = new Senders((index) => interfaceName(libc, index));
    const control = this.#control.buffer as SharedArrayBuffer;
    const workerData: ThreadData = { ring: this.#ring.buffer, control, eventfd: this.#eventfd };
    // It allocates little: the space it needs to start is enough.
    this.#worker = startWorker({ workerData, execArgv: [], resourceLimits: { maxYoungGenerationSizeMb: 4 } });
    running.add(this);
    this.#worker.on('message', (report: Report) => this.#take(report));
    let failure: unknown;
    // What it reported before is still to come; the exit comes after that.
    this.#worker.once('error', (error) => {
      failure = error;
    });
    this.#worker.once('exit', () => {
      running.delete(this);
      this.#quits = true;
      closeSync(this.#eventfd);
      this.#failAll(failure ?? new Error('a receiving thread ended early'));
      events.exited(failure);
    });
    // The ring is empty: this asks to be woken.
    this.#drain();
  }

  get assignments(): Iterable<Assignment> {
    return this.#served.keys();
  }

  get single(): boolean {
    return this.#single;
  }

  /** Before the first receiver is added: there will be no other. */
  reserve(): void {
    this.#single = true;
    this.#ring.shrink();
    Atomics.store(this.#control, SINGLE, 1);
  }

  get size(): number {
    return this.#served.size;
  }

  /** Whether it serves neither receivers nor clients. */
  get idle(): boolean {
    return this.size === 0 && this.#clients.size === 0;
  }

  /** Whether a receiver can join the others. */
  get joinable(): boolean {
    return !this.#single && !this.#quits && this.size < MAX_OWNERS;
  }

  add(assignment: Assignment): void {
    const slot = this.#freeSlots.pop() ?? this.#slots.length;
    const served: Served = { assignment, slot, delivered: 0, entries: Number.POSITIVE_INFINITY };
    this.#slots[slot] = served;
    this.#served.set(assignment, served);
    assignment.thread = this;
    this.#worker.ref();
    this.#post({ what: 'add', slot, task: assignment.task });
    for (const clients of assignment.clients) this.#serve(clients);
    if (assignment.stopped) this.stop(assignment);
  }

  stop(assignment: Assignment): void {
    this.#command('stop', assignment);
    this.wake(assignment);
  }

  /** The thread lets go of a receiver, whose socket keeps what it holds. Not for a single one. */
  release(assignment: Assignment): void {
    this.#command('release', assignment);
  }

  /** Makes a blocked receive return, by what ends the socket: it never blocks again (shutdown(2)). */
  wake({ task }: Assignment): void {
    // Fails with ENOTCONN on an unconnected socket, but wakes the receiver.
    if (this.#single) this.libc.shutdown(task.fd, SHUT_RD);
  }

  replaced(assignment: Assignment): void {
    this.#command('replaced', assignment);
  }

  /** Stops all receivers and ends. */
  quit(): void {
    if (this.#quits) return;
    this.#quits = true;
    Atomics.store(this.#control, POSTED, QUIT);
    this.#announce();
    for (const assignment of this.assignments) this.wake(assignment);
  }

  #serve(clients: ThreadClients): void {
    const { number } = clients.task;
    this.#clients.set(number, clients);
    clients.serve((order) => this.#post({ what: 'clients', number, order }));
  }

  #command(what: 'stop' | 'release' | 'replaced', assignment: Assignment): void {
    const served = this.#served.get(assignment);
    if (served) this.#post({ what, slot: served.slot });
  }

  #post(command: Command): void {
    if (this.#quits) return;
    this.#worker.postMessage(command);
    Atomics.add(this.#control, POSTED, 1);
    this.#announce();
  }

  #announce(): void {
    Atomics.notify(this.#control, POSTED);
    writeSync(this.#eventfd, ONE);
  }

  #take(report: Report): void {
    if (report.what === 'ready') this.#ready();
    else if (report.what === 'more') this.#drain();
    else if (report.what === 'clients') this.#takeEvent(report);
    else {
      const served = this.#slots[report.slot]!;
      if (report.what === 'handover') served.assignment.handOver[report.file]!(report.piece);
      else this.#ended(served, report.entries, report.failure);
    }
  }

  #takeEvent({ number, event }: Extract<Report, { what: 'clients' }>): void {
    this.#clients.get(number)?.take(event);
    if (event.what === 'opened') this.#begin();
    if (event.what !== 'closed') return;
    this.#clients.delete(number);
    this.#unrefIdle();
    this.events.clientsClosed();
  }

  /** Lets receivers begin whose clients are all open. */
  #begin(): void {
    for (const served of this.#served.values()) {
      const { clients } = served.assignment;
      if (served.begun || clients.length === 0 || !clients.every(({ isOpen }) => isOpen)) continue;
      served.begun = true;
      this.#post({ what: 'begin', slot: served.slot });
    }
  }

  #unrefIdle(): void {
    if (this.idle) this.#worker.unref();
  }

  #ready(): void {
    // Not before: a worker refers to itself once more when it is online.
    this.#unrefIdle();
    this.events.ready();
  }

  #ended(served: Served, entries: number, failure: Served['failure']): void {
    served.entries = entries;
    served.failure = failure;
    this.#endIfDelivered(served);
  }

  /** Delivers from the ring, and yields to the event loop after each turn: a flood never ends. */
  #drain(): void {
    clearImmediate(this.#more);
    this.#more = undefined;
    const until = performance.now() + TURN_MS;
    while (this.#ring.read(this.#batch)) {
      const served = this.#slots[this.#ring.owner]!;
      const { task, deliver } = served.assignment;
      if (task.tellsSenders) this.#ring.tell(this.#batch, this.#senders);
      deliver?.(this.#batch);
      this.#ring.release();
      served.delivered += this.#batch.count;
      this.#endIfDelivered(served);
      if (performance.now() < until) continue;
      this.#more = setImmediate(() => this.#drain());
      return;
    }
  }

  #endIfDelivered({ assignment, slot, delivered, entries, failure }: Served): void {
    if (delivered < entries) return;
    this.#slots[slot] = undefined;
    this.#freeSlots.push(slot);
    this.#served.delete(assignment);
    assignment.thread = undefined;
    this.#unrefIdle();
    this.events.letGo(assignment, failure && systemError(failure.errno, failure.call));
  }

  /** Those whose end was reported are delivered from the ring, even after the thread's exit. */
  #failAll(error: unknown): void {
    const left = [...this.#served.values()].filter(({ entries }) => entries === Number.POSITIVE_INFINITY);
    for (const { assignment } of left) {
      this.#served.delete(assignment);
      assignment.thread = undefined;
      this.events.letGo(assignment, error);
    }
    for (const clients of this.#clients.values()) clients.lost('its receiving thread ended');
    this.#clients.clear();
  }
}

/** @throws the system's error */
function openEventfd(libc: Libc): number {
  const fd = libc.eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (fd < 0) throw systemError(libc.errno(), 'eventfd');
  return fd;
}
