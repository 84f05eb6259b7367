import type { Stats } from 'node:fs';
import { ReadStream } from 'node:tty';
import type { Input } from './input.js';

/** What reading tells of a terminal whose other end is gone. */
const GONE = new Set(['EIO', 'ENXIO', 'ENODEV']);

/** A terminal or serial device has no end: it was unplugged, or hung up (SIGHUP, termios(3)). */
export class DeviceGone extends Error {
  constructor() {
    super('the device disappeared');
  }
}

/** A terminal or serial device opened by its path: byte for byte, without echo. It gets its mode back at the end. */
export class TerminalInput implements Input {
  #stopped = false;
  readonly #stream: ReadStream;

  /** @param fd raw, and closed with this */
  constructor(
    fd: number,
    readonly stat: Stats,
    private readonly restore: () => void,
  ) {
    this.#stream = new ReadStream(fd);
  }

  /** @throws DeviceGone */
  async *chunks(): AsyncGenerator<Buffer> {
    try {
      // Its mode is restored before it is closed.
      for await (const chunk of this.#stream.iterator({ destroyOnReturn: false })) yield chunk as Buffer;
    } catch (error) {
      if (!GONE.has((error as NodeJS.ErrnoException).code ?? '') && !this.#stopped) throw error;
    } finally {
      this.#close();
    }
    if (!this.#stopped) throw new DeviceGone();
  }

  stop(): void {
    this.#stopped = true;
    this.#close();
  }

  #close(): void {
    // Once destroyed, its descriptor may be another's.
    if (!this.#stream.destroyed) this.restore();
    this.#stream.destroy();
  }
}
