import { parseDuration, usage } from 'mproxy-base';
import { Batch, type Cutter, createCutter, delimiterOf, type Frame, FramingError } from 'mproxy-framing';
import type { Deliver } from 'mproxy-net';

export interface StreamOptions {
  frame: Frame;
  /** How full a datagram is made, in bytes. */
  payload: number;
  /**
   * How long an unfinished line, or piece of `raw`, waits for more after its first byte, in milliseconds. Default:
   * 50 for `raw`; a line waits for its newline.
   */
  flushAfter?: number | undefined;
  /** Whether the chunks are filled again once they are delivered. */
  lent?: boolean;
  deliver: Deliver;
  /** Counts what is delivered, and what no datagram can carry. */
  counts: { datagrams: number; bytes: number; discarded: number };
}

const NEWLINE = 0x0a;
const RAW_FLUSH_MS = 50;
const EMPTY: Buffer = Buffer.alloc(0);

/**
 * Reads `--flush-after`.
 * @param frames those of all streams that it is for
 * @returns milliseconds; undefined: as the frame has it
 * @throws MPROXY_USAGE
 */
export function parseFlushAfter(given: number | string | undefined, frames: Frame[]): number | undefined {
  if (given === undefined) return undefined;
  if (frames.length > 0 && frames.every((frame) => frame === 'octet-counted'))
    throw usage('--flush-after', String(given), 'octet-counted messages are never sent unfinished');
  return parseDuration('--flush-after', given);
}

function flushTime({ frame, flushAfter }: StreamOptions): number | undefined {
  if (frame === 'octet-counted') return undefined;
  return flushAfter ?? (frame === 'raw' ? RAW_FLUSH_MS : undefined);
}

/**
 * One byte stream on its way into datagrams. Whole lines are sent when the event loop has read all that was ready. An
 * unfinished line or piece is sent when its first byte has waited for `flushAfter`, whatever follows it.
 */
export class FramedStream {
  readonly #batch = new Batch();
  readonly #cutter: Cutter;
  readonly #flushAfter: number | undefined;
  #pushed = 0;
  /** Where in the stream the unfinished piece begins that the timer runs for. */
  #pieceAt = -1;
  #busy: Promise<void> | undefined;
  #idle: NodeJS.Immediate | undefined;
  #piece: NodeJS.Timeout | undefined;

  constructor(private readonly options: StreamOptions) {
    this.#batch.lent = options.lent ?? false;
    this.#batch.lines = delimiterOf(options.frame) === NEWLINE;
    this.#flushAfter = flushTime(options);
    this.#cutter = createCutter(options.frame, options.payload, (slab, offset, length, count) =>
      this.#add(slab, offset, length, count),
    );
  }

  /** Bytes of the stream so far. */
  get taken(): number {
    return this.#pushed;
  }

  /**
   * Takes the next bytes (see `Cutter.push`); a promise resolves when the sinks are ready for more.
   * @throws FramingError where the bytes are not what the frame says; what came before is delivered
   */
  push(chunk: Buffer, headroom = 0): Promise<void> | undefined {
    this.#pushed += chunk.length;
    this.#cut(chunk, headroom);
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

  #cut(chunk: Buffer, headroom: number): void {
    try {
      this.#cutter.push(chunk, headroom);
    } catch (error) {
      if (error instanceof FramingError) this.#sent();
      throw error;
    }
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
    this.options.counts.discarded += this.#cutter.discarded;
    this.#cutter.discarded = 0;
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
    this.#cutter.compact();
    this.#batch.reset(EMPTY);
    this.#startTimer();
  }

  /** Starts the timer of the unfinished piece, unless it runs for this very piece already. */
  #startTimer(): void {
    if (this.#flushAfter === undefined || this.#firstPending === this.#pieceAt) return;
    clearTimeout(this.#piece);
    if (this.#cutter.pending === 0) return;
    this.#pieceAt = this.#firstPending;
    this.#piece = setTimeout(() => this.#flushPiece(), this.#flushAfter);
  }

  /** Where in the stream the first byte is that waits. */
  get #firstPending(): number {
    return this.#pushed - this.#cutter.pending;
  }

  #flushPiece(): void {
    // Where it was sent meanwhile, the bytes that wait now have a timer of their own.
    if (this.#firstPending !== this.#pieceAt) return;
    this.#cutter.finish();
    if (this.#batch.count > 0) this.#deliver();
  }

  #cancel(): void {
    clearImmediate(this.#idle);
    clearTimeout(this.#piece);
    this.#idle = undefined;
  }
}
