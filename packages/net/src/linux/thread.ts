import { closeSync, writeSync } from 'node:fs';
import type { Worker } from 'node:worker_threads';
import { startWorker } from '#native';
import type { ThreadClients } from '../fanout/thread-clients.js';
import type { Assignment, ServingThread } from './assignment.js';
import {
  CONTROL_WORDS,
  type Command,
  EPOLL,
  POSTED,
  QUIT,
  type Report,
  SINGLE,
  type ThreadData,
} from './commands.js';
import { Delivery } from './delivery.js';
import { systemError } from './errno.js';
import type { Libc } from './libc.js';
import { MAX_OWNERS } from './ring.js';

const SHUT_RD = 0;
// <linux/eventfd.h>
const EFD_NONBLOCK = 0o4000;
const EFD_CLOEXEC = 0o2000000;
/** Added to an eventfd. */
const ONE = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);

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
  /** The thread ended, and everything that it received is delivered. */
  exited(end: ThreadEnd): void;
}

export interface ThreadEnd {
  /** Given if it failed. */
  error?: unknown;
  /** The receivers and clients that it still had: it failed. */
  assignments: readonly Assignment[];
  clients: readonly ThreadClients[];
}

/** The event loop's side of a receiving thread. */
export class ReceivingThread implements ServingThread {
  readonly #worker: Worker;
  readonly #control = new Int32Array(new SharedArrayBuffer(4 * CONTROL_WORDS));
  readonly #eventfd: number;
  readonly #delivery: Delivery;
  /** By their number; they outlive their receiver. */
  readonly #clients = new Map<number, ThreadClients>();
  #quits = false;

  /** Whether it serves a single receiver, blocking in its socket, and ends with it. */
  #single = false;

  /** Starts a thread, which keeps the process running while it serves a receiver. @throws the system's error */
  constructor(
    private readonly libc: Libc,
    private readonly events: ThreadEvents,
  ) {
    this.#eventfd = openEventfd(libc);
    this.#delivery = new Delivery(libc, (assignment, failure) => {
      assignment.thread = undefined;
      this.#unrefIdle();
      events.letGo(assignment, failure && systemError(failure.errno, failure.call));
    });
    const control = this.#control.buffer as SharedArrayBuffer;
    const workerData: ThreadData = { ring: this.#delivery.ring.buffer, control, eventfd: this.#eventfd };
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
      this.#closeDescriptors();
      this.#delivery.drainLast(() => events.exited(this.#end(failure)));
    });
    // The ring is empty: this asks to be woken.
    this.#delivery.drain();
  }

  get assignments(): Assignment[] {
    return Array.from(this.#delivery.all, ({ assignment }) => assignment);
  }

  get single(): boolean {
    return this.#single;
  }

  /** Before the first receiver is added: there will be no other. */
  reserve(): void {
    this.#single = true;
    this.#delivery.ring.shrink();
    Atomics.store(this.#control, SINGLE, 1);
  }

  get size(): number {
    return this.#delivery.size;
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
    const { slot } = this.#delivery.add(assignment);
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
    const served = this.#delivery.of(assignment);
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
    else if (report.what === 'more') this.#delivery.drain();
    else if (report.what === 'clients') this.#takeEvent(report);
    else if (report.what === 'ended') this.#delivery.end(report.slot, report.entries, report.failure);
    else this.#delivery.at(report.slot).assignment.files[report.file]!.handOver(report.piece);
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
    for (const served of this.#delivery.all) {
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

  /** A thread that fails leaves its loop open. */
  #closeDescriptors(): void {
    closeSync(this.#eventfd);
    const epoll = Atomics.load(this.#control, EPOLL);
    if (epoll > 0) closeSync(epoll);
  }

  #end(error: unknown): ThreadEnd {
    const { assignments } = this;
    const clients = [...this.#clients.values()];
    const failed = error !== undefined || assignments.length + clients.length > 0;
    for (const assignment of assignments) assignment.thread = undefined;
    return { assignments, clients, ...(failed && { error: error ?? new Error('it ended early') }) };
  }
}

/** @throws the system's error */
function openEventfd(libc: Libc): number {
  const fd = libc.eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (fd < 0) throw systemError(libc.errno(), 'eventfd');
  return fd;
}
