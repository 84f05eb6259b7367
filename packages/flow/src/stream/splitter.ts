import { Batch, type Cutter, createCutter, type Frame, MAX_DATAGRAM } from 'mproxy-framing';

/** Splits messages that are larger than a datagram by the rule of a frame, and passes all others as they are. */
export class Splitter {
  /** Messages that were split. */
  split = 0;
  readonly #batch = new Batch();
  readonly #cutter: Cutter;

  /**
   * @param payload size to which the pieces are filled, in bytes
   * @param send takes batches of datagrams, lent for the call
   */
  constructor(
    frame: Frame,
    payload: number,
    private readonly send: (batch: Batch) => void,
  ) {
    this.#cutter = createCutter(frame, payload, (slab, offset, length, count) =>
      this.#batch.addRuns(slab, offset, length, count, this.#pass),
    );
  }

  write(batch: Batch): void {
    const { slab } = batch;
    this.#batch.lent = batch.lent;
    batch.each((offset, length) => {
      if (length <= MAX_DATAGRAM) this.#batch.addRuns(slab, offset, length, 1, this.#pass);
      else this.#split(slab.subarray(offset, offset + length));
    });
    this.#pass();
    // The slab of the batch is not kept.
    this.#cutter.compact();
  }

  #split(message: Buffer): void {
    this.split++;
    this.#cutter.push(message);
    this.#cutter.finish();
  }

  readonly #pass = (): void => {
    if (this.#batch.count > 0) this.send(this.#batch);
    this.#batch.reset(EMPTY);
  };
}

const EMPTY: Buffer = Buffer.alloc(0);
