import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  openSync,
  type Stats,
  writevSync,
} from 'node:fs';
import type { Engine } from 'mproxy-net';

/** A file or device that is open to append to. Another may take its place under the threads that write to it. */
export class AppendFile {
  #fd: number;

  constructor(
    readonly path: string,
    private readonly engine: Engine,
    /** What a file that it makes may be used for by whom (chmod(2)); default 0666 less the umask. */
    private readonly mode?: number,
  ) {
    this.#fd = openAppend(path, mode);
  }

  /** The same for its whole life where the engine has threads. */
  get fd(): number {
    return this.#fd;
  }

  get stat(): Stats {
    return fstatSync(this.#fd);
  }

  /** @returns how many bytes it took, maybe not all @throws the system's error */
  write(pieces: Buffer[]): number {
    return writevSync(this.#fd, pieces);
  }

  /**
   * Goes on in the file that has the path now, or in a new one.
   * @param old what a new one's owner is to be, and its mode where none is set
   * @param real where that one is to be, which the path may only lead to
   * @throws the system's error; then it goes on in the old one
   */
  reopen(old?: Stats, real = this.path): void {
    const like = old && { uid: old.uid, gid: old.gid, mode: this.mode ?? old.mode };
    const made = like && create(real, like.mode);
    const fd = made ?? openAppend(this.path, this.mode);
    const { redirect } = this.engine;
    try {
      if (made !== undefined) assimilate(made, like!);
      if (redirect) redirect(fd, this.#fd);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    closeSync(redirect ? fd : this.#fd);
    if (!redirect) this.#fd = fd;
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** Opened without blocking: a device that waits for its other end must not stop the program. */
const { O_WRONLY, O_APPEND, O_CREAT, O_EXCL, O_NONBLOCK, O_NOCTTY } = constants;
const APPEND = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY;

/** @param mode of a file that it makes, whatever the umask; a file that is there keeps its own */
function openAppend(path: string, mode?: number): number {
  const made = mode === undefined ? undefined : create(path, mode);
  // Also where a link leads to no file yet, which O_EXCL does not follow (open(2)).
  if (made === undefined) return openSync(path, APPEND, mode ?? 0o666);
  try {
    fchmodSync(made, mode!);
    return made;
  } catch (error) {
    closeSync(made);
    throw error;
  }
}

/**
 * A new file alone is given away: a link that somebody put in its place may lead to any file.
 * @returns undefined where there is something already
 */
function create(path: string, mode: number): number | undefined {
  try {
    return openSync(path, APPEND | O_EXCL, mode & 0o777);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined;
    throw error;
  }
}

/** Whoever may read the old file may read the new one, and nobody else. Only root can give a file away (chown(2)). */
function assimilate(fd: number, { uid, gid, mode }: Pick<Stats, 'uid' | 'gid' | 'mode'>): void {
  const own = fstatSync(fd);
  if (process.getuid?.() === 0 && (own.uid !== uid || own.gid !== gid)) fchownSync(fd, uid, gid);
  if (own.mode !== mode) fchmodSync(fd, mode & 0o7777);
}
