import { type Cutter, createCutter, type Frame } from 'mproxy-framing';
import { Batch, type Deliver } from 'mproxy-udp';

export interface StreamOptions {
  frame: Frame;
  /** How full a datagram is made, in bytes. */
  payload: number;
  /** How long an unfinished piece of `raw` waits for more, in milliseconds. */
  flushAfter: number;
  /** Whether the chunks are filled again once they are delivered. */
  lent?: boolean;
  deliver: Deliver;
  /** Counts what is delivered. */
  counts: { datagrams: number; bytes: number };
}

/**
 * One byte stream on its way into datagrams: a cutter, and the two moments at which it is told that there is no
 * more input for now. Whole lines go when the event loop has read all that was ready; a piece of `raw` goes
 * `flushAfter` later.
 */
export class FramedStream {
  readonly #batch = new Batch();
  readonly #cutter: Cutter;
  #busy: Promise<void> | undefined;
  #idle: NodeJS.Immediate | undefined;
  #piece: NodeJS.Timeout | undefined;

  constructor(private readonly options: StreamOptions) {
    this.#batch.lent = options.lent ?? false;
    this.#batch.lines = options.frame !== 'raw';
    this.#cutter = createCutter(options.frame, options.payload, (slab, offset, length, count) =>
      this.#add(slab, offset, length, count),
    );
  }

  /** Takes the next bytes (see `Cutter.push`); a promise resolves when the sinks are ready for more. */
  push(chunk: Buffer, headroom = 0): Promise<void> | undefined {
    clearTimeout(this.#piece);
    this.#cutter.push(chunk, headroom);
    const busy = this.#sent();
    // While the sinks are full nobody reads the input: that is no sign that it has nothing more.
    if (!busy) this.#awaitIdle();
    else {
      clearImmediate(this.#idle);
      this.#idle = undefined;
      void busy.then(this.#awaitIdle, this.#awaitIdle);
    }
    return busy;
  }

  /** The input ended as it should: all that is left goes as it is. */
  async end(): Promise<void> {
    this.#cancel();
    this.#cutter.finish();
    await this.#sent();
  }

  /** The input broke off. @returns whether an unfinished line got a newline */
  async breakOff(): Promise<boolean> {
    this.#cancel();
    const ended = this.#cutter.breakOff();
    await this.#sent();
    return ended;
  }

  #add(slab: Buffer, offset: number, length: number, count: number): void {
    for (let done = 0; done < count; ) {
      if (this.#batch.full || (this.#batch.count > 0 && this.#batch.slab !== slab)) this.#deliver();
      if (this.#batch.count === 0) this.#batch.reset(slab);
      done += this.#batch.addRun(offset + done * length, length, count - done);
    }
  }

  #deliver(): void {
    const { counts } = this.options;
    counts.datagrams += this.#batch.datagrams;
    counts.bytes += this.#batch.bytes;
    this.#busy = this.options.deliver(this.#batch) ?? this.#busy;
    this.#batch.reset(this.#batch.slab);
  }

  #sent(): Promise<void> | undefined {
    if (this.#batch.count > 0) this.#deliver();
    const busy = this.#busy;
    this.#busy = undefined;
    return busy;
  }

  readonly #awaitIdle = (): void => {
    this.#idle ??= setImmediate(() => this.#whenIdle());
  };

  #whenIdle(): void {
    this.#idle = undefined;
    this.#cutter.flush();
    if (this.#batch.count > 0) this.#deliver();
    if (this.options.frame === 'raw') this.#startPiece();
  }

  #startPiece(): void {
    clearTimeout(this.#piece);
    if (this.#cutter.pending === 0) return;
    this.#piece = setTimeout(() => {
      this.#cutter.finish();
      if (this.#batch.count > 0) this.#deliver();
    }, this.options.flushAfter);
  }

  #cancel(): void {
    clearImmediate(this.#idle);
    clearTimeout(this.#piece);
    this.#idle = undefined;
  }
}
