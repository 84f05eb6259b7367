import type { LogSink } from 'mproxy-service/layers/access-log';

/** Characters that are gathered before they are passed on, and for how long, in milliseconds. */
const GATHERED = 64 * 1024;
const FLUSH_MS = 100;
/** Bytes that are passed on and not written yet, at most; beyond, records are dropped. */
const PENDING_LIMIT = 8 * 1024 * 1024;

/**
 * Gathers the lines of a worker's access log for the main thread, which writes them. It never waits: while those before are not written,
 * records are dropped and counted.
 */
export class LineBuffer implements LogSink {
  /** Records that were dropped. */
  dropped = 0;
  #text = '';
  #records = 0;
  /** Bytes that were passed on and are not written. */
  #pending = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    /** Takes whole lines, each with its newline, in memory of their own. */
    private readonly post: (lines: Uint8Array<ArrayBuffer>, records: number) => void,
    /** Called for each record that is dropped. */
    private readonly onDrop: () => void = () => undefined,
  ) {}

  write(line: string): void {
    if (this.#pending + this.#text.length + line.length >= PENDING_LIMIT) {
      this.dropped++;
      this.onDrop();
      return;
    }
    this.#text += `${line}\n`;
    this.#records++;
    if (this.#text.length >= GATHERED) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), FLUSH_MS);
  }

  /** Passes on what is gathered. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#records === 0) return;
    const lines = new Uint8Array(this.#text.length);
    Buffer.from(lines.buffer).write(this.#text, 'latin1');
    this.#pending += lines.length;
    this.post(lines, this.#records);
    this.#text = '';
    this.#records = 0;
  }

  /** So many bytes of what was passed on are written. */
  written(bytes: number): void {
    this.#pending -= bytes;
  }
}
