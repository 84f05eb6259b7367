import type { LogSink } from 'mproxy-service/layers/access-log';

/** Bytes after which records are sent to the main thread, and the time after which they are, in milliseconds. */
const BATCH = 64 * 1024;
const BATCH_MS = 50;
/** Bytes that the main thread has not written; beyond them, records are dropped. */
const MAX_UNWRITTEN = 4 * 1024 * 1024;
/** The longest record: a datagram. */
const MAX_RECORD = 65_507;

/** Whole records, each with a newline, one after the other. */
export interface LogBatch {
  bytes: Uint8Array;
  /** The length of each record. */
  sizes: Uint16Array;
}

/** The access log of a worker: records go to the main thread, many at a time. It never waits. */
export class WorkerLog implements LogSink {
  #bytes = Buffer.allocUnsafeSlow(BATCH + MAX_RECORD);
  #length = 0;
  readonly #sizes: number[] = [];
  #unwritten = 0;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param send sends records, in memory of their own
   * @param onDrop called for each record that is dropped
   */
  constructor(
    private readonly send: (batch: LogBatch) => void,
    private readonly onDrop: () => void,
  ) {}

  write(line: string): void {
    const length = line.length + 1;
    if (length > MAX_RECORD || this.#unwritten + this.#length + length > MAX_UNWRITTEN) {
      this.onDrop();
      return;
    }
    this.#bytes.latin1Write(line, this.#length);
    this.#length += length;
    this.#bytes[this.#length - 1] = 0x0a;
    this.#sizes.push(length);
    if (this.#length >= BATCH) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), BATCH_MS).unref();
  }

  /** So many bytes are written. */
  written(bytes: number): void {
    this.#unwritten -= bytes;
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#length === 0) return;
    const bytes = new Uint8Array(this.#bytes.subarray(0, this.#length));
    this.#unwritten += this.#length;
    this.#length = 0;
    this.send({ bytes, sizes: Uint16Array.from(this.#sizes.splice(0)) });
  }
}
