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
import type { Engine } from 'mproxy-udp';

/** A file or device that is open to append to. Another may take its place under the threads that write to it. */
export class AppendFile {
  #fd: number;

  constructor(
    readonly path: string,
    private readonly engine: Engine,
  ) {
    this.#fd = openAppend(path, 0o666);
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
   * @param like what a new one's mode and owner are to be
   * @throws the system's error; then it goes on in the old one
   */
  reopen(like?: Stats): void {
    const fd = openAppend(this.path, like ? like.mode & 0o777 : 0o666);
    const { redirect } = this.engine;
    try {
      if (like) assimilate(fd, like);
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
function openAppend(path: string, mode: number): number {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NONBLOCK, O_NOCTTY } = constants;
  return openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY, mode);
}

/** Whoever may read the old file may read the new one, and nobody else. Only root can give a file away (chown(2)). */
function assimilate(fd: number, { uid, gid, mode }: Stats): void {
  const own = fstatSync(fd);
  if (process.getuid?.() === 0 && (own.uid !== uid || own.gid !== gid)) fchownSync(fd, uid, gid);
  if (own.mode !== mode) fchmodSync(fd, mode & 0o7777);
}
