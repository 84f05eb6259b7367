import { closeSync, constants, openSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { isatty } from 'node:tty';
import { reason } from 'mproxy-base';
import { type Batch, Coalescer, type Frame, type Lease } from 'mproxy-framing';
import { OutputQueue } from 'mproxy-net';
import { sinkCounts } from '../../counts.js';
import type { Program } from '../../program.js';
import type { Sink } from '../../sink.js';
import { writableOutput } from '../../stream/writable-output.js';
import { READER_BEHIND, READER_LEFT, STREAM_FAILED } from './events.js';
import { standardStream, TerminalStream } from './terminal.js';

/** Bytes queued for a slow reader; beyond this, whole datagrams are dropped. */
const QUEUE_LIMIT = 8 * 1024 * 1024;
/** Queued bytes at which a stream source waits. */
const WAIT_AT = 1024 * 1024;

/** stdout, a FIFO or a terminal: its reader may be slow or go away. */
export class StreamSink implements Sink {
  readonly counts = sinkCounts();
  readonly dropReason = 'its reader did not keep up';
  /** Resolves when the reader is gone. */
  readonly ended: Promise<void>;
  readonly #coalescer: Coalescer;
  readonly #queue: OutputQueue;
  /** It ended with an error, not because its reader went away. */
  #broken = false;

  constructor(
    private readonly program: Pick<Program, 'fail' | 'emit'>,
    readonly name: string,
    private readonly stream: Writable,
    frame: Frame,
    /** Whether the source waits for a slow reader instead of dropping datagrams. */
    private readonly waits: boolean,
  ) {
    this.#coalescer = new Coalescer(frame, (...chunk) => this.#enqueue(...chunk));
    const output = writableOutput(stream, () => this.#queue);
    this.#queue = new OutputQueue(output, waits ? Number.POSITIVE_INFINITY : QUEUE_LIMIT);
    this.ended = new Promise((resolve) => {
      stream.once('error', (error) => {
        this.#failed(error);
        resolve();
      });
      stream.once('close', resolve);
    });
  }

  write(batch: Batch): void {
    this.#coalescer.add(batch);
  }

  /** Writes stream bytes that are not datagrams: the client's tee. */
  writeBytes(chunk: Buffer): Promise<void> | undefined {
    if (this.#queue.offer(chunk)) this.counts.bytes += chunk.length;
    return this.room();
  }

  flush(): void {
    this.#coalescer.flush();
  }

  #enqueue(chunk: Buffer, datagrams: number, lease?: Lease): void {
    if (this.#queue.offer(chunk, lease)) {
      this.counts.datagrams += datagrams;
      this.counts.bytes += chunk.length;
    } else if (this.#broken || !this.#queue.gone) this.counts.dropped += datagrams;
  }

  room(): Promise<void> | undefined {
    return this.waits ? this.#queue.drained(WAIT_AT) : undefined;
  }

  stored(): Promise<void> | undefined {
    return this.#queue.passed();
  }

  abortPending(): void {
    this.#queue.abortPending();
  }

  async close(): Promise<void> {
    this.flush();
    await this.#queue.drained(0);
    if (this.#queue.queued > 0 && !this.#queue.gone) {
      this.program.emit(READER_BEHIND, { file: this.name, bytes: this.#queue.queued });
    }
    if (this.stream !== process.stdout) this.stream.destroy();
  }

  #failed(error: NodeJS.ErrnoException): void {
    this.stream.destroy();
    // A terminal that hung up counts as a reader that went away.
    const gone = error.code === 'EPIPE' || (error.code === 'EIO' && this.stream instanceof TerminalStream);
    if (gone) {
      this.program.emit(READER_LEFT, { file: this.name });
      return;
    }
    this.#broken = true;
    this.program.fail('MPROXY_WRITE', 'writing', this.name, error);
    this.program.emit(STREAM_FAILED, { file: this.name, reason: reason(error) });
  }
}

/**
 * Opens a FIFO or terminal for writing. O_RDWR opens a FIFO before its reader does, and keeps it open
 * afterwards (fifo(7)). Neither is opened in the thread pool, where a blocked call could not be cancelled.
 */
export function openStreamSink(program: Program, path: string, frame: Frame, waits: boolean): StreamSink {
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    const stream = isatty(fd) ? new TerminalStream(fd) : new Socket({ fd, readable: false, writable: true });
    return program.sink(new StreamSink(program, path, stream, frame, waits));
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** The one writer to stdout. */
export function stdoutSink(program: Program, frame: Frame, waits: boolean): StreamSink {
  return program.shared('stdout', () =>
    program.sink(new StreamSink(program, 'stdout', standardStream(1), frame, waits)),
  );
}
