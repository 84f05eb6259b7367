import type { Frame } from 'mproxy-framing';
import type { Batch } from 'mproxy-udp';
import { toStream } from './sink.js';

/** Bytes after which a burst is not gathered further. */
const LIMIT = 64 * 1024;
/** A datagram of any size, and its newline, fits what is below the limit. */
const ROOM = LIMIT + 65_536;
/** Rooms kept at most to be filled again; and that readers hold at most where a copy would take less. */
const MOST_FREE = 8;
const MOST_HELD = 8;

/** Memory that several readers share: when the last is done with it, it may be filled again. */
export class Lease {
  #holders = 1;
  #abandoned = false;

  /** @param back is told whether nobody looks at the memory any more */
  constructor(private readonly back: (free: boolean) => void) {}

  hold(): void {
    this.#holders++;
  }

  done(): void {
    if (--this.#holders === 0) this.back(!this.#abandoned);
  }

  /** As {@link done}, by who cannot say whether the kernel still reads from there. */
  abandon(): void {
    this.#abandoned = true;
    this.done();
  }
}

/** Gathers the datagrams of a burst into one chunk, as a frame writes them into a stream. */
export class Gather {
  #room: Buffer = Buffer.allocUnsafeSlow(ROOM);
  /** V8 collects memory outside its heap late: without these a fast group would cost some 10 MB more. */
  readonly #free: Buffer[] = [];
  #held = 0;
  #bytes = 0;
  #datagrams = 0;

  constructor(
    private readonly frame: Frame,
    /** Takes a chunk of whole datagrams, and keeps it; one with a lease only as long as it holds that. */
    private readonly pass: (chunk: Buffer, datagrams: number, lease?: Lease) => void,
  ) {}

  add(batch: Batch): void {
    toStream(batch, this.frame, (slab, offset, length, datagrams) => {
      if (slab === batch.slab && this.#bytes >= LIMIT) this.flush();
      this.#datagrams += datagrams;
      this.#bytes += slab.copy(this.#room, this.#bytes, offset, offset + length);
    });
    if (this.#bytes >= LIMIT) this.flush();
  }

  /** Passes on what is there: a large chunk as it lies, a small one as a copy, that takes no more than its size. */
  flush(): void {
    if (this.#bytes === 0) return;
    const room = this.#room;
    const chunk = room.subarray(0, this.#bytes);
    const datagrams = this.#datagrams;
    this.#bytes = this.#datagrams = 0;
    const large = chunk.length >= LIMIT || (chunk.length >= LIMIT / 2 && this.#held < MOST_HELD);
    if (!large) {
      this.pass(Buffer.from(chunk), datagrams);
      return;
    }
    this.#room = this.#free.pop() ?? Buffer.allocUnsafeSlow(ROOM);
    this.#held++;
    const lease = new Lease((free) => {
      this.#held--;
      if (free && this.#free.length < MOST_FREE) this.#free.push(room);
    });
    this.pass(chunk, datagrams, lease);
    lease.done();
  }
}
