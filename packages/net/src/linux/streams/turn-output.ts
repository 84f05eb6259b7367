import type { Libc } from '../libc.js';
import type { Job, Loop } from '../loop.js';

const SIZE = 64 * 1024;

/** A connection whose bytes are collected. */
export interface TurnSender {
  /** Sends these. They are borrowed. @param address of the first one */
  sendCollected(memory: Buffer, address: number, start: number, end: number): void;
}

/**
 * What connections are to send in this turn of the loop, messages of few bytes, until all events of the turn were passed on: then one is
 * sent after the other. Their readers, when they sleep, are woken up by the first, and find the others there. To wake up a reader for each
 * message takes as much time as to send it.
 */
export class TurnOutput implements Job {
  /** Kept in a field: the kernel is given its address. */
  readonly #memory = Buffer.allocUnsafeSlow(SIZE);
  readonly #address: number;
  /** Who sends, and where its bytes end; they begin where those of the one before it end. */
  readonly #senders: (TurnSender | undefined)[] = [];
  readonly #ends: number[] = [];
  #count = 0;
  #end = 0;
  #deferred = false;

  constructor(
    libc: Libc,
    private readonly loop: Loop,
  ) {
    this.#address = Number(libc.address(this.#memory));
  }

  /** Copies bytes, {@link SIZE} at most. */
  add(sender: TurnSender, bytes: Uint8Array): void {
    if (this.#end + bytes.length > SIZE) this.flush();
    this.#memory.set(bytes, this.#end);
    this.#end += bytes.length;
    const last = this.#count - 1;
    if (last >= 0 && this.#senders[last] === sender) {
      this.#ends[last] = this.#end;
      return;
    }
    this.#senders[this.#count] = sender;
    this.#ends[this.#count++] = this.#end;
    if (this.#deferred) return;
    this.#deferred = true;
    this.loop.defer(this);
  }

  run(): void {
    this.#deferred = false;
    this.flush();
  }

  /** Sends what is there. */
  flush(): void {
    const count = this.#count;
    this.#count = 0;
    this.#end = 0;
    for (let i = 0, start = 0; i < count; i++) {
      const sender = this.#senders[i]!;
      const end = this.#ends[i]!;
      this.#senders[i] = undefined;
      sender.sendCollected(this.#memory, this.#address + start, start, end);
      start = end;
    }
  }
}
