import { Batch, type Cutter, createCutter, delimiterOf, type Frame, FramingError } from 'mproxy-framing';
import type { Deliver } from 'mproxy-net';

export interface StreamOptions {
  frame: Frame;
  /** Size to which datagrams are filled, in bytes. */
  payload: number;
  /**
   * How long an unfinished line or `raw` piece waits for more after its first byte, in milliseconds. Default:
   * 50 for `raw`, unlimited for lines.
   */
  flushAfter?: number | undefined;
  /** Whether the chunks are reused: after the next one is taken, or, borrowed, at once. Default: neither. */
  lent?: boolean | 'borrowed';
  deliver: Deliver;
  /** Counts delivered datagrams, and messages that no datagram can carry. */
  counts: { datagrams: number; bytes: number; discarded: number };
}

const NEWLINE = 0x0a;
const RAW_FLUSH_MS = 50;
const EMPTY: Buffer = Buffer.alloc(0);

function flushTime({ frame, flushAfter }: StreamOptions): number | undefined {
  if (frame === 'octet-counted') return undefined;
  return flushAfter ?? (frame === 'raw' ? RAW_FLUSH_MS : undefined);
}

/**
 * Cuts one byte stream into datagrams. Whole lines are sent when the event loop has read all available input.
 * An unfinished line or piece is sent `flushAfter` after its first byte, whatever follows.
 */
export class FramedStream {
  readonly #batch = new Batch();
  readonly #cutter: Cutter;
  readonly #flushAfter: number | undefined;
  #pushed = 0;
  /** Stream offset of the unfinished piece that the timer runs for. */
  #pieceAt = -1;
  #busy: Promise<void> | undefined;
  #idleCheck: NodeJS.Immediate | undefined;
  #flushTimer: NodeJS.Timeout | undefined;

  constructor(private readonly options: StreamOptions) {
    this.#batch.lent = options.lent !== undefined && options.lent !== false;
    this.#batch.lines = delimiterOf(options.frame) === NEWLINE;
    this.#flushAfter = flushTime(options);
    this.#cutter = createCutter(options.frame, options.payload, (slab, offset, length, count) =>
      this.#batch.addRuns(slab, offset, length, count, this.#deliver),
    );
  }

  /** Bytes of the stream so far. */
  get taken(): number {
    return this.#pushed;
  }

  /**
   * Takes the next bytes (see `Cutter.push`); a promise resolves when the sinks are ready for more.
   * @throws FramingError where the bytes violate the frame; earlier messages are delivered
   */
  push(chunk: Buffer, headroom = 0): Promise<void> | undefined {
    this.#pushed += chunk.length;
    this.#cut(chunk, headroom);
    const busy = this.#deliverAll();
    if (this.options.lent === 'borrowed') this.#cutter.own();
    // The input is not read while the sinks are full: a pause then does not mean that it is idle.
    if (!busy) this.#awaitIdle();
    else {
      clearImmediate(this.#idleCheck);
      this.#idleCheck = undefined;
      void busy.then(this.#awaitIdle, this.#awaitIdle);
    }
    return busy;
  }

  #cut(chunk: Buffer, headroom: number): void {
    try {
      this.#cutter.push(chunk, headroom);
    } catch (error) {
      if (error instanceof FramingError) this.#deliverAll();
      throw error;
    }
  }

  /** The input ended normally: sends the rest as it is. */
  async end(): Promise<void> {
    this.#cancelTimers();
    this.#cutter.finish();
    await this.#deliverAll();
  }

  /** The input was cut off. @returns whether an unfinished line got a newline */
  async breakOff(): Promise<boolean> {
    this.#cancelTimers();
    const ended = this.#cutter.breakOff();
    await this.#deliverAll();
    return ended;
  }

  readonly #deliver = (): void => {
    const { counts } = this.options;
    counts.datagrams += this.#batch.datagrams;
    counts.bytes += this.#batch.bytes;
    this.#busy = this.options.deliver(this.#batch) ?? this.#busy;
    this.#batch.reset(this.#batch.slab);
  };

  #deliverAll(): Promise<void> | undefined {
    this.options.counts.discarded += this.#cutter.discarded;
    this.#cutter.discarded = 0;
    if (this.#batch.count > 0) this.#deliver();
    const busy = this.#busy;
    this.#busy = undefined;
    return busy;
  }

  readonly #awaitIdle = (): void => {
    this.#idleCheck ??= setImmediate(() => this.#whenIdle());
  };

  #whenIdle(): void {
    this.#idleCheck = undefined;
    this.#cutter.flush();
    if (this.#batch.count > 0) this.#deliver();
    this.#cutter.compact();
    this.#batch.reset(EMPTY);
    this.#startTimer();
  }

  /** Starts the timer of the unfinished piece, unless it already runs. */
  #startTimer(): void {
    if (this.#flushAfter === undefined || this.#firstPending === this.#pieceAt) return;
    clearTimeout(this.#flushTimer);
    if (this.#cutter.pending === 0) return;
    this.#pieceAt = this.#firstPending;
    this.#flushTimer = setTimeout(() => this.#flushPiece(), this.#flushAfter);
  }

  /** Stream offset of the first pending byte. */
  get #firstPending(): number {
    return this.#pushed - this.#cutter.pending;
  }

  #flushPiece(): void {
    // It was sent meanwhile: bytes pending now have their own timer.
    if (this.#firstPending !== this.#pieceAt) return;
    this.#cutter.finish();
    if (this.#batch.count > 0) this.#deliver();
  }

  #cancelTimers(): void {
    clearImmediate(this.#idleCheck);
    clearTimeout(this.#flushTimer);
    this.#idleCheck = undefined;
  }
}
