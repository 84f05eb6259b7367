import { availableParallelism } from 'node:os';
import { isInternal, reason, throwInternal } from 'mproxy-base';
import type { Assignment } from './assignment.js';
import type { Libc } from './libc.js';
import { ReceivingThread, type ThreadEnd } from './thread.js';

const PERIOD_MS = 1000;
/** A socket that receives more entries in a period gets a thread of its own. */
const HOT_ENTRIES = 50_000;
/** So many failures of threads within this time end what they do. */
const MAX_FAILURES = 5;
const FAILURES_MS = 60_000;

/** A hot socket on its way to a thread of its own, which is started first: the socket is received from meanwhile. */
interface Move {
  assignment: Assignment;
  from: ReceivingThread;
  to: ReceivingThread;
  released: boolean;
}

/**
 * The receiving threads of this process: one for all sockets, and one for each hot socket. A socket without others
 * has a thread that blocks in it, unless it has clients of TCP listeners: their connections need a loop.
 */
export class Threads {
  readonly #threads = new Set<ReceivingThread>();
  /** Open receivers that do not run yet. */
  #expected = 0;
  /** Receivers started in this turn of the event loop. */
  #starting: Assignment[] = [];
  #move: Move | undefined;
  /** Entries of each receiver at the last check. */
  #seen = new Map<Assignment, number>();
  #timer: NodeJS.Timeout | undefined;
  /** When threads failed, by `performance.now()`: the last of them. */
  #failures: number[] = [];

  constructor(private readonly libc: Libc) {}

  get count(): number {
    return this.#threads.size;
  }

  /** A receiver was opened: a thread for it starts meanwhile. */
  expect(): void {
    this.#expected++;
    try {
      this.#shared();
    } catch (error) {
      // The start of the receiver tries again, and reports it.
      throwInternal(error);
    }
  }

  /** A receiver was closed that never ran. */
  cancel(): void {
    this.#expected--;
    this.#quitIdle();
  }

  /** Starts with the others of this turn of the event loop: together they share a thread. */
  start(assignment: Assignment): void {
    if (this.#starting.push(assignment) === 1) setImmediate(() => this.#startAll());
  }

  #startAll(): void {
    const starting = this.#starting;
    this.#starting = [];
    this.#expected -= starting.length;
    const idle = [...this.#threads].every((thread) => thread.idle);
    const single = idle && starting.length === 1 && this.#expected === 0 && starting[0]!.clients.length === 0;
    for (const assignment of starting) {
      try {
        const thread = this.#shared();
        if (single) thread.reserve();
        thread.add(assignment);
      } catch (error) {
        assignment.reject(error);
      }
    }
  }

  #shared(): ReceivingThread {
    return [...this.#threads].find(({ joinable }) => joinable) ?? this.#open();
  }

  #open(): ReceivingThread {
    const thread: ReceivingThread = new ReceivingThread(this.libc, {
      ready: () => this.#ready(thread),
      letGo: (assignment, error) => this.#letGo(assignment, error),
      clientsClosed: () => this.#quitIdle(),
      exited: (end) => this.#exited(thread, end),
    });
    this.#threads.add(thread);
    this.#timer ??= setInterval(() => this.#check(), PERIOD_MS).unref();
    return thread;
  }

  /** Ends the shared thread when no receiver is left that could join it. */
  #quitIdle(): void {
    if (this.#expected > 0) return;
    for (const thread of this.#threads) if (thread.joinable && thread.idle) thread.quit();
  }

  /** Moves the hottest socket of a shared thread to a thread of its own, if there are processors for both. */
  #check(): void {
    const hottest = this.#hottest();
    if (!hottest || this.#move || this.#threads.size >= availableParallelism()) return;
    const to = this.#open();
    to.reserve();
    this.#move = { ...hottest, to, released: false };
  }

  /** The socket that received most since the last check, if it is hot and shares its thread. */
  #hottest(): Pick<Move, 'assignment' | 'from'> | undefined {
    const last = this.#seen;
    this.#seen = new Map();
    let most = HOT_ENTRIES;
    let hottest: Pick<Move, 'assignment' | 'from'> | undefined;
    for (const from of this.#threads) {
      for (const assignment of from.assignments) {
        const { entries } = assignment.counts;
        const received = entries - (last.get(assignment) ?? 0);
        this.#seen.set(assignment, entries);
        // Clients stay in the loop that they are in.
        if (received <= most || from.single || from.size === 1 || assignment.clients.length > 0) continue;
        most = received;
        hottest = { assignment, from };
      }
    }
    return hottest;
  }

  #ready(thread: ReceivingThread): void {
    const move = this.#move;
    if (move?.to !== thread) return;
    const { assignment, from } = move;
    // The receiver may have ended meanwhile.
    if (assignment.thread !== from || assignment.stopped) this.#cancel(move);
    else {
      move.released = true;
      from.release(assignment);
    }
  }

  #letGo(assignment: Assignment, error: unknown): void {
    const move = this.#move?.assignment === assignment && this.#move.released ? this.#move : undefined;
    if (move && error === undefined) this.#arrive(move);
    else {
      if (move) this.#cancel(move);
      if (error === undefined) assignment.resolve();
      else assignment.reject(error);
    }
    this.#quitIdle();
  }

  #arrive({ assignment, to }: Move): void {
    this.#move = undefined;
    if (this.#threads.has(to)) to.add(assignment);
    else {
      this.#expected++;
      this.start(assignment);
    }
  }

  #cancel(move: Move): void {
    this.#move = undefined;
    move.to.quit();
  }

  #exited(thread: ReceivingThread, end: ThreadEnd): void {
    this.#threads.delete(thread);
    if (this.#threads.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
    const move = this.#move;
    // No thread for a hot socket: it stays where it is.
    if (move?.to === thread && !move.released) this.#move = undefined;
    else if (move?.from === thread && end.assignments.includes(move.assignment)) this.#cancel(move);
    if (end.error === undefined) return;
    for (const { files } of end.assignments) for (const file of files) file.threadFailed();
    const replaced = end.assignments.length > 0 && !this.#failsAgain();
    if (replaced) this.#replace(end);
    else this.#giveUp(end);
  }

  /** Counts a failure. @returns whether there were too many */
  #failsAgain(): boolean {
    const now = performance.now();
    this.#failures = [...this.#failures.filter((at) => now - at < FAILURES_MS), now];
    return this.#failures.length >= MAX_FAILURES;
  }

  /** Another thread goes on with the receivers. The clients of the failed one are disconnected; their listeners go on. */
  #replace({ error, assignments, clients }: ThreadEnd): void {
    const kept = new Set(assignments.flatMap((assignment) => assignment.clients));
    let disconnected = 0;
    for (const one of clients) disconnected += kept.has(one) ? one.failed(LOST) : one.lost(LOST);
    this.#expected += assignments.length;
    for (const assignment of assignments) this.start(assignment);
    const failure = { reason: describe(error), sockets: assignments.length, clients: disconnected };
    for (const tell of new Set(assignments.map(({ threadFailed }) => threadFailed))) tell?.(failure);
  }

  #giveUp({ error, assignments, clients }: ThreadEnd): void {
    for (const assignment of assignments) this.#letGo(assignment, error);
    for (const one of clients) one.lost(LOST);
    // With receivers, it is their error.
    throwInternal(error);
  }
}

/** Why clients of a thread that failed are disconnected. */
const LOST = 'its receiving thread failed';

/** In one line. A mistake of this program is told with its stack, for its report. */
function describe(error: unknown): string {
  if (!isInternal(error)) return reason(error);
  return String((error as Error).stack ?? error).replace(/\s+/g, ' ');
}

let threads: Threads | undefined;

/** The threads of this process. */
export function receivingThreads(libc: Libc): Threads {
  threads ??= new Threads(libc);
  return threads;
}
