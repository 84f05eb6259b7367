import type { Frame } from 'mproxy-framing';
import type { Batch } from 'mproxy-udp';
import { toStream } from './sink.js';

/** Bytes after which a burst is not gathered further. */
const LIMIT = 64 * 1024;
/** A datagram of any size, and its newline, fits what is below the limit. */
const ROOM = LIMIT + 65_536;

/** Gathers the datagrams of a burst into one chunk, as a frame writes them into a stream. */
export class Gather {
  readonly #room = Buffer.allocUnsafeSlow(ROOM);
  #bytes = 0;
  #datagrams = 0;

  constructor(
    private readonly frame: Frame,
    /** Takes a chunk of whole datagrams, and keeps it. */
    private readonly pass: (chunk: Buffer, datagrams: number) => void,
  ) {}

  add(batch: Batch): void {
    toStream(batch, this.frame, (slab, offset, length, datagrams) => {
      if (slab === batch.slab && this.#bytes >= LIMIT) this.flush();
      this.#datagrams += datagrams;
      this.#bytes += slab.copy(this.#room, this.#bytes, offset, offset + length);
    });
    if (this.#bytes >= LIMIT) this.flush();
  }

  /** Passes on what is there. */
  flush(): void {
    if (this.#bytes === 0) return;
    const chunk = Buffer.from(this.#room.subarray(0, this.#bytes));
    const datagrams = this.#datagrams;
    this.#bytes = this.#datagrams = 0;
    this.pass(chunk, datagrams);
  }
}
