import { close, type FSWatcher, fstatSync, readSync, type Stats, watch } from 'node:fs';
import { promisify } from 'node:util';

/** Bytes before the position that are read again with what follows them, to see whether they are still the same. */
const KNOWN = 4096;
const BLOCK = 256 * 1024;
const EMPTY: Buffer = Buffer.alloc(0);

const closeFile = promisify(close);

/**
 * A regular file that grows, and may be truncated or overwritten at any time: also when it has grown past the position
 * by the next look. It is read from its start again when its size is below the position, or when the bytes before the
 * position are not those that were read. Not seen: a file that was rewritten so that these 4 KiB are the same again.
 */
export class FollowedFile {
  position = 0;
  #known = EMPTY;
  /** Size at the last look. */
  #size = 0;
  /** Time of the last change at the last look that found nothing more, in milliseconds. */
  #unchangedSince = Number.NaN;
  readonly #watcher: FSWatcher | undefined;

  /**
   * @param fd is closed by {@link close}
   * @param changed called soon after a change, where the system tells of it
   */
  constructor(
    readonly fd: number,
    readonly stat: Stats,
    path: string,
    changed: () => void,
  ) {
    this.#watcher = watchFile(path, changed);
  }

  /** Bytes at the last look that were not read. */
  get unread(): number {
    return Math.max(0, this.#size - this.position);
  }

  /** Leaves out what is there. */
  skipToEnd(): void {
    const { size } = fstatSync(this.fd);
    const known = Buffer.alloc(Math.min(KNOWN, size));
    const count = readSync(this.fd, known, 0, known.length, size - known.length);
    this.#known = known.subarray(0, count);
    this.#size = this.position = size;
  }

  /** @returns the next bytes; none at the end of the file; undefined where it is to be read from its start again */
  next(): Buffer | undefined {
    const { size, mtimeMs } = fstatSync(this.fd);
    if (size === this.position && mtimeMs === this.#unchangedSince) return EMPTY;
    if (size < this.position) return undefined;
    const known = this.#known.length;
    const block = Buffer.allocUnsafeSlow(known + Math.min(size - this.position, BLOCK));
    // One call for both: nobody can truncate the file between the comparison and the read.
    const count = readSync(this.fd, block, 0, block.length, this.position - known);
    if (count < known || !block.subarray(0, known).equals(this.#known)) return undefined;
    this.#size = size;
    this.position += count - known;
    if (count === known) this.#unchangedSince = mtimeMs;
    this.#known = Buffer.from(block.subarray(Math.max(0, count - KNOWN), count));
    return block.subarray(known, count);
  }

  restart(): void {
    this.position = this.#size = 0;
    this.#known = EMPTY;
    this.#unchangedSince = Number.NaN;
  }

  close(): Promise<void> {
    this.#watcher?.close();
    return closeFile(this.fd);
  }
}

/** Where the system has no watch for it (inotify(7): ENOSPC, EMFILE), the file is looked at now and then all the same. */
function watchFile(path: string, changed: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(path, { persistent: false }, changed);
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch {
    return undefined;
  }
}
