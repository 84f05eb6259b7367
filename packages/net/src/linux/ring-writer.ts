import type { Batch } from 'mproxy-framing';
import { BATCH_CAPACITY } from 'mproxy-framing/batch';
import type { BatchReceiver } from './batch-receiver.js';
import { POSTED, QUIT } from './commands.js';
import type { Ring } from './ring.js';

/** Longest wait for a full ring, in milliseconds: the event loop may pause this long to collect garbage. */
const MAX_WAIT_MS = 100;
/** Part of the ring that a socket with full batches leaves to others. */
const RESERVED = 1 / 4;

/** A thread's end of the ring to the event loop. */
export class RingWriter {
  /** Whether to wait for a full ring: nothing else waits for the thread, and kernel buffers hold datagrams. */
  waits = false;
  /** Datagrams of the last batch that did not fit. */
  dropped = 0;

  /**
   * @param shared whether several sockets write to the ring
   * @param control see {@link ThreadData}
   */
  constructor(
    private readonly ring: Ring,
    private readonly shared: boolean,
    private readonly control: Int32Array,
    private readonly wakeReader: () => void,
  ) {}

  /**
   * @param names holds the senders, if these are written too
   * @returns the number of entries written
   */
  write(batch: Batch, owner: number, names: BatchReceiver | undefined): number {
    this.ring.owner = owner;
    this.ring.reserve = this.shared && batch.count === BATCH_CAPACITY ? this.ring.capacity * RESERVED : 0;
    this.dropped = 0;
    let written = 0;
    for (let i = 0; i < batch.count; i++) {
      const { length, segment } = batch;
      if (this.#entry(batch, i, names) || this.#waited(batch, i, names)) written++;
      else this.dropped += segment[i] === 0 ? 1 : Math.ceil(length[i]! / segment[i]!);
    }
    if (this.ring.wakes()) this.wakeReader();
    return written;
  }

  #entry({ slab, offset, length, segment }: Batch, i: number, names: BatchReceiver | undefined): boolean {
    if (!names) return this.ring.write(slab, offset[i]!, length[i]!, segment[i]!);
    const nameAt = names.nameOf(offset[i]!);
    return this.ring.write(slab, offset[i]!, length[i]!, segment[i]!, names.names, nameAt);
  }

  #waited(batch: Batch, i: number, names: BatchReceiver | undefined): boolean {
    for (let waited = 0; this.waits && waited < MAX_WAIT_MS; waited++) {
      if (this.ring.wakes()) this.wakeReader();
      const posted = Atomics.load(this.control, POSTED);
      // The process ends: nobody reads.
      if (posted === QUIT) return false;
      Atomics.wait(this.control, POSTED, posted, 1);
      if (this.#entry(batch, i, names)) return true;
    }
    return false;
  }
}
