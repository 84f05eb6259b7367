import { close, type FSWatcher, fstatSync, readSync, type Stats, watch } from 'node:fs';
import { promisify } from 'node:util';

/** Bytes before the position that each read includes, to detect a rewritten file. */
const TAIL = 4096;
const BLOCK = 256 * 1024;
const EMPTY: Buffer = Buffer.alloc(0);

const closeFile = promisify(close);

/**
 * A growing regular file that may be truncated or overwritten at any time, even if it grows past the position
 * before the next check. Reading restarts when the size is below the position or the bytes before the
 * position have changed. A rewrite that leaves these 4 KiB identical is not detected.
 */
export class FollowedFile {
  position = 0;
  #tail = EMPTY;
  /** Size at the last check. */
  #size = 0;
  /** Modification time when the last read reached the end, in milliseconds. */
  #mtimeAtEnd = Number.NaN;
  readonly #watcher: FSWatcher | undefined;

  /**
   * @param fd closed by {@link close}
   * @param changed called soon after a change if the system can watch the file
   */
  constructor(
    readonly fd: number,
    readonly stat: Stats,
    path: string,
    changed: () => void,
  ) {
    this.#watcher = watchFile(path, changed);
  }

  /** Bytes that were unread at the last check. */
  get unread(): number {
    return Math.max(0, this.#size - this.position);
  }

  skipToEnd(): void {
    const { size } = fstatSync(this.fd);
    const tail = Buffer.alloc(Math.min(TAIL, size));
    const count = readSync(this.fd, tail, 0, tail.length, size - tail.length);
    this.#tail = tail.subarray(0, count);
    this.#size = this.position = size;
  }

  /** @returns the next bytes; empty at the end of the file; undefined if it must be read from its start */
  next(): Buffer | undefined {
    const { size, mtimeMs } = fstatSync(this.fd);
    if (size === this.position && mtimeMs === this.#mtimeAtEnd) return EMPTY;
    if (size < this.position) return undefined;
    const overlap = this.#tail.length;
    const block = Buffer.allocUnsafeSlow(overlap + Math.min(size - this.position, BLOCK));
    // One read for both, so that the file cannot be truncated between the comparison and the read.
    const count = readSync(this.fd, block, 0, block.length, this.position - overlap);
    if (count < overlap || !block.subarray(0, overlap).equals(this.#tail)) return undefined;
    this.#size = size;
    this.position += count - overlap;
    if (count === overlap) this.#mtimeAtEnd = mtimeMs;
    this.#tail = Buffer.from(block.subarray(Math.max(0, count - TAIL), count));
    return block.subarray(overlap, count);
  }

  restart(): void {
    this.position = this.#size = 0;
    this.#tail = EMPTY;
    this.#mtimeAtEnd = Number.NaN;
  }

  close(): Promise<void> {
    this.#watcher?.close();
    return closeFile(this.fd);
  }
}

/** @returns undefined if the system cannot watch the file (inotify(7): ENOSPC, EMFILE); it is polled too */
function watchFile(path: string, changed: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(path, { persistent: false }, changed);
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch {
    return undefined;
  }
}
