import { closeSync, type Stats } from 'node:fs';
import { ReadStream } from 'node:tty';
import type { Input } from './input.js';

/** What reading tells of a terminal whose other end is gone. */
const GONE = new Set(['EIO', 'ENXIO', 'ENODEV']);

/** Whether an error of reading says that the device is gone. */
export function isGone(error: unknown): boolean {
  return error instanceof DeviceGone || GONE.has((error as NodeJS.ErrnoException).code ?? '');
}

/** A terminal or serial device has no end: it was unplugged, or hung up (SIGHUP, termios(3)). */
export class DeviceGone extends Error {
  constructor() {
    super('the device disappeared');
  }
}

/** A terminal or serial device opened by its path: byte for byte, without echo. It gets its mode back at the end. */
export class TerminalInput implements Input {
  #stopped = false;
  #closed = false;
  readonly #stream: ReadStream;
  /** Whether the stream reads the very descriptor that it was given. */
  readonly #shared: boolean;

  /** @param fd raw, and closed with this */
  constructor(
    private readonly fd: number,
    readonly stat: Stats,
    private readonly restore: () => void,
  ) {
    this.#stream = new ReadStream(fd);
    const { _handle: handle } = this.#stream as unknown as { _handle?: { fd?: number } };
    this.#shared = handle?.fd === undefined || handle.fd === fd;
  }

  /** @throws DeviceGone */
  async *chunks(): AsyncGenerator<Buffer> {
    try {
      // Its mode is restored before it is closed.
      for await (const chunk of this.#stream.iterator({ destroyOnReturn: false })) yield chunk as Buffer;
    } catch (error) {
      if (!isGone(error) && !this.#stopped) throw error;
    } finally {
      this.#close();
    }
    if (!this.#stopped) throw new DeviceGone();
  }

  stop(): void {
    this.#stopped = true;
    this.#close();
  }

  /**
   * As a rule the stream reads a descriptor of its own (uv_tty_init opens the terminal anew, libuv src/unix/tty.c): the
   * one it was given stays open, and keeps the device from being given up by the kernel. Where it reads the given one,
   * that is closed with it, and may be another's then.
   */
  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (!this.#shared || !this.#stream.destroyed) this.restore();
    this.#stream.destroy();
    if (!this.#shared) closeSync(this.fd);
  }
}
