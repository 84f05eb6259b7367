import { Batch } from 'mproxy-framing/batch';
import type { Assignment } from './assignment.js';
import type { Libc } from './libc.js';
import { Ring } from './ring.js';
import { Senders } from './senders.js';
import { interfaceName } from './socket.js';

/** How long a drain delivers before it yields to the event loop, in milliseconds. */
const TURN_MS = 2;

/** What ended a receiver: a system call that failed. */
export interface CallFailure {
  errno: number;
  call: string;
}

/** A receiver of a thread. */
export interface Served {
  readonly assignment: Assignment;
  readonly slot: number;
  /** Entries of the ring delivered so far, and in all, once the thread let go of it. */
  delivered: number;
  entries: number;
  failure?: CallFailure | undefined;
  /** Whether the clients of its thread were there when it began to receive. */
  begun?: boolean;
}

/** The receivers of a thread, and the event loop's end of its ring, from which their datagrams are delivered. */
export class Delivery {
  readonly ring = new Ring();
  readonly #senders: Senders;
  readonly #batch = new Batch();
  readonly #slots: (Served | undefined)[] = [];
  readonly #freeSlots: number[] = [];
  readonly #served = new Map<Assignment, Served>();
  #more: NodeJS.Immediate | undefined;
  #onEmpty: (() => void) | undefined;

  /** @param ended the thread let go of a receiver, and everything that it received is delivered */
  constructor(
    libc: Libc,
    private readonly ended: (assignment: Assignment, failure?: CallFailure) => void,
  ) {
    this.#senders = new Senders((index) => interfaceName(libc, index));
  }

  get size(): number {
    return this.#served.size;
  }

  get all(): Iterable<Served> {
    return this.#served.values();
  }

  of(assignment: Assignment): Served | undefined {
    return this.#served.get(assignment);
  }

  at(slot: number): Served {
    return this.#slots[slot]!;
  }

  add(assignment: Assignment): Served {
    const slot = this.#freeSlots.pop() ?? this.#slots.length;
    const served: Served = { assignment, slot, delivered: 0, entries: Number.POSITIVE_INFINITY };
    this.#slots[slot] = served;
    this.#served.set(assignment, served);
    return served;
  }

  /** The thread let go of a receiver, after so many entries. */
  end(slot: number, entries: number, failure: CallFailure | undefined): void {
    const served = this.at(slot);
    served.entries = entries;
    served.failure = failure;
    this.#endIfDelivered(served);
  }

  /** Delivers from the ring, and yields to the event loop after each turn: a flood never ends. */
  drain(): void {
    clearImmediate(this.#more);
    this.#more = undefined;
    const until = performance.now() + TURN_MS;
    while (this.ring.read(this.#batch)) {
      const served = this.at(this.ring.owner);
      const { task, deliver } = served.assignment;
      if (task.tellsSenders) this.ring.tell(this.#batch, this.#senders);
      deliver?.(this.#batch);
      this.ring.release();
      served.delivered += this.#batch.count;
      this.#endIfDelivered(served);
      if (performance.now() < until) continue;
      this.#more = setImmediate(() => this.drain());
      return;
    }
    this.#onEmpty?.();
  }

  /** The thread is gone: delivers what it left, and then calls. */
  drainLast(onEmpty: () => void): void {
    this.#onEmpty = onEmpty;
    this.drain();
  }

  #endIfDelivered({ assignment, slot, delivered, entries, failure }: Served): void {
    if (delivered < entries) return;
    this.#slots[slot] = undefined;
    this.#freeSlots.push(slot);
    this.#served.delete(assignment);
    this.ended(assignment, failure);
  }
}
