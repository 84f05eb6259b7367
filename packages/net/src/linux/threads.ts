import { availableParallelism } from 'node:os';
import { throwInternal } from 'mproxy-base';
import type { Deliver, ThreadSinks } from '../datagrams.js';
import { Assignment, type Socket } from './assignment.js';
import type { Libc } from './libc.js';
import { ReceivingThread } from './thread.js';

const PERIOD_MS = 1000;
/** A socket that receives more entries in a period gets a thread of its own. */
const HOT_ENTRIES = 50_000;

/** A hot socket on its way to a thread of its own, which is started first: the socket is received from meanwhile. */
interface Move {
  assignment: Assignment;
  from: ReceivingThread;
  to: ReceivingThread;
  released: boolean;
}

/** The receiving threads of this process: one for all sockets, and one for each hot socket. */
class Threads {
  readonly #threads = new Set<ReceivingThread>();
  /** Receivers started in this turn of the event loop. */
  #starting: Assignment[] = [];
  #move: Move | undefined;
  /** Entries of each receiver at the last check. */
  #seen = new Map<Assignment, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly libc: Libc) {}

  /** Starts with the others of this turn of the event loop: together they share a thread. */
  start(assignment: Assignment): void {
    if (this.#starting.push(assignment) === 1) setImmediate(() => this.#startAll());
  }

  #startAll(): void {
    const starting = this.#starting;
    this.#starting = [];
    const single = starting.length === 1 && this.#threads.size === 0;
    for (const assignment of starting) {
      try {
        const shared = [...this.#threads].find(({ joinable }) => joinable);
        (shared ?? this.#open(single)).add(assignment);
      } catch (error) {
        assignment.reject(error);
      }
    }
  }

  #open(single: boolean): ReceivingThread {
    const thread: ReceivingThread = new ReceivingThread(this.libc, single, {
      ready: () => this.#ready(thread),
      letGo: (assignment, error) => this.#letGo(assignment, error),
      exited: (error) => this.#exited(thread, error),
    });
    this.#threads.add(thread);
    this.#timer ??= setInterval(() => this.#check(), PERIOD_MS).unref();
    return thread;
  }

  /** Moves the hottest socket of a shared thread to a thread of its own, if there are processors for both. */
  #check(): void {
    const hottest = this.#hottest();
    if (!hottest || this.#move || this.#threads.size >= availableParallelism()) return;
    this.#move = { ...hottest, to: this.#open(true), released: false };
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
        if (received <= most || from.single || from.size === 1) continue;
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
    const move = this.#move;
    if (error !== undefined) assignment.reject(error);
    else if (move?.assignment === assignment && move.released) this.#arrive(move);
    else assignment.resolve();
  }

  #arrive({ assignment, to }: Move): void {
    this.#move = undefined;
    if (this.#threads.has(to)) to.add(assignment);
    else this.start(assignment);
  }

  #cancel(move: Move): void {
    this.#move = undefined;
    move.to.quit();
  }

  #exited(thread: ReceivingThread, error: unknown): void {
    this.#threads.delete(thread);
    if (this.#threads.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
    if (this.#move?.to !== thread) return;
    // No thread for a hot socket: it stays where it is.
    if (!this.#move.released) this.#move = undefined;
    if (error !== undefined) throwInternal(error);
  }
}

let threads: Threads | undefined;

/** Receives on a thread of this process: it delivers to the sinks, and to `deliver` on the event loop. */
export function receiveOnThread(
  libc: Libc,
  socket: Socket,
  sinks: ThreadSinks,
  deliver: Deliver | undefined,
): Assignment {
  threads ??= new Threads(libc);
  const assignment = new Assignment(socket, sinks, deliver);
  threads.start(assignment);
  return assignment;
}
