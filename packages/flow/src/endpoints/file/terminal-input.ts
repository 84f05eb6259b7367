import { closeSync, type Stats } from 'node:fs';
import { ReadStream } from 'node:tty';
import type { Input } from './input.js';

/** Errors of read(2) on a terminal or device that hung up or was unplugged. */
const GONE_CODES = new Set(['EIO', 'ENXIO', 'ENODEV']);

export function isGone(error: unknown): boolean {
  return error instanceof DeviceGone || GONE_CODES.has((error as NodeJS.ErrnoException).code ?? '');
}

/** End of file on a terminal or serial device: it was unplugged or hung up (SIGHUP, termios(3)). */
export class DeviceGone extends Error {
  constructor() {
    super('the device disappeared');
  }
}

/** A terminal or serial device opened by its path: raw, without echo. Its mode is restored at the end. */
export class TerminalInput implements Input {
  #stopped = false;
  #closed = false;
  readonly #stream: ReadStream;
  /** Whether the stream reads `fd` itself. */
  readonly #shared: boolean;

  /** @param fd in raw mode; closed with this input */
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
      // The mode must be restored before the stream is closed.
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
   * The stream usually reads its own descriptor (uv_tty_init reopens the terminal, libuv src/unix/tty.c):
   * `fd` then stays open and keeps the kernel from releasing the device. If the stream reads `fd` itself,
   * destroying it closes `fd`, whose number may be reused at once.
   */
  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (!this.#shared || !this.#stream.destroyed) this.restore();
    this.#stream.destroy();
    if (!this.#shared) closeSync(this.fd);
  }
}
