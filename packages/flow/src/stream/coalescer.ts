import type { Batch, Frame } from 'mproxy-framing';
import { ADDED_NEWLINE, encoded, toStream } from 'mproxy-framing';

/** Bytes after which a burst is passed on although more is there. */
const LIMIT = 64 * 1024;
/** Size of a room; two of the largest datagrams fit. */
const ROOM = 128 * 1024;
/** Free rooms kept for reuse: V8 collects memory outside its heap late. */
const MOST_FREE = 8;

/** Memory that is shared by several queues, and reused when the last of them is done with it. */
export interface Lease {
  hold(): void;
  /** The holder's bytes were written. */
  done(): void;
  /** The holder is gone, and the kernel may still read its bytes: the memory is never reused. */
  abandon(): void;
}

/** A block of memory that is filled from its start to its end. */
class Room implements Lease {
  used = 0;
  #holders = 0;
  #abandoned = false;

  constructor(
    readonly bytes: Buffer,
    private readonly released: (room: Room) => void,
  ) {}

  /** Whether it may be filled from its start again. */
  get free(): boolean {
    return this.#holders === 0 && !this.#abandoned;
  }

  hold(): void {
    this.#holders++;
  }

  done(): void {
    if (--this.#holders === 0) this.released(this);
  }

  abandon(): void {
    this.#abandoned = true;
    this.done();
  }
}

/**
 * Coalesces the datagrams of a burst into one chunk, as a frame writes them into a stream. Bursts lie one behind the
 * other in memory, so that a queue that holds many of them can hold them as one range.
 */
export class Coalescer {
  readonly #free: Room[] = [];
  #room = this.#newRoom(ROOM);
  /** Where in the room the burst begins that was not passed on yet. */
  #start = 0;
  #datagrams = 0;

  /** @param pass takes a chunk of whole datagrams; the chunk stays as it is while the lease is held */
  constructor(
    private readonly frame: Frame,
    private readonly pass: (chunk: Buffer, datagrams: number, lease: Lease) => void,
  ) {}

  add(given: Batch): void {
    const batch = encoded(given, this.frame);
    toStream(batch, this.frame, (slab, offset, length, datagrams) => {
      // A datagram and the newline that its frame may add are never parted.
      if (slab !== ADDED_NEWLINE) this.#makeRoom(length + ADDED_NEWLINE.length);
      this.#datagrams += datagrams;
      this.#room.used += slab.copy(this.#room.bytes, this.#room.used, offset, offset + length);
    });
    if (this.#room.used - this.#start >= LIMIT) this.flush();
  }

  /** Passes on the burst so far. */
  flush(): void {
    const room = this.#room;
    if (room.used === this.#start) return;
    const chunk = room.bytes.subarray(this.#start, room.used);
    const datagrams = this.#datagrams;
    this.#start = room.used;
    this.#datagrams = 0;
    this.pass(chunk, datagrams, room);
    if (room.free) this.#restart();
  }

  /** Has the room take so many bytes more, or another take its place. */
  #makeRoom(bytes: number): void {
    if (this.#room.used + bytes <= this.#room.bytes.length) return;
    this.flush();
    if (this.#room.used + bytes <= this.#room.bytes.length) return;
    this.#room = (bytes <= ROOM && this.#free.pop()) || this.#newRoom(Math.max(bytes, ROOM));
    this.#restart();
  }

  #newRoom(size: number): Room {
    return new Room(Buffer.allocUnsafeSlow(size), (room) => this.#released(room));
  }

  #released(room: Room): void {
    if (!room.free) return;
    if (room === this.#room) {
      if (room.used === this.#start) this.#restart();
    } else if (room.bytes.length === ROOM && this.#free.length < MOST_FREE) this.#free.push(room);
  }

  #restart(): void {
    this.#room.used = this.#start = 0;
  }
}
