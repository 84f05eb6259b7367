import { failure, MproxyError } from 'mproxy-base';
import type { Frame } from 'mproxy-framing';
import type { Deliver } from 'mproxy-net';
import { sourceCounts } from '../../counts.js';
import type { Source } from '../../source.js';
import { FramedStream } from '../../stream/framed-stream.js';
import { BREAK, type Input } from './input.js';
import type { StreamSink } from './stream-sink.js';

export interface FileOptions {
  frame: Frame;
  payload: number;
  flushAfter: number | undefined;
  /** Receives the bytes as read. */
  tee: StreamSink | undefined;
}

/** Cuts a file, pipe, terminal or device into datagrams. */
export class FileSource implements Source {
  readonly counts = sourceCounts();
  bytesRead = 0;

  constructor(
    readonly name: string,
    private readonly input: Input,
    private readonly options: FileOptions,
  ) {}

  /** The size of a regular file that is not followed, in bytes. */
  get size(): number | undefined {
    return this.input.stat?.isFile() ? this.input.stat.size : undefined;
  }

  async run(deliver: Deliver): Promise<void> {
    const { tee } = this.options;
    const { headroom = 0, lends = false } = this.input;
    const stream = new FramedStream({ ...this.options, lent: lends, counts: this.counts, deliver });
    try {
      for await (const chunk of this.input.chunks()) {
        if (chunk === BREAK) {
          if (await stream.breakOff()) this.counts.brokenLines++;
          this.counts.reconnects++;
          continue;
        }
        this.bytesRead += chunk.length;
        await tee?.writeBytes(lends ? Buffer.from(chunk) : chunk);
        await stream.push(chunk, headroom);
      }
    } catch (error) {
      if (error instanceof MproxyError) throw error;
      throw failure('MPROXY_FILE', 'reading', this.name, error);
    } finally {
      await stream.end();
    }
  }

  stop(): void {
    this.input.stop();
  }
}
