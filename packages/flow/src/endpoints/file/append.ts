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

/** A file or device open for appending. It can be replaced while threads write to its descriptor. */
export class AppendFile {
  #fd: number;

  constructor(
    readonly path: string,
    private readonly engine: Engine,
    /** Mode of a created file (chmod(2)); default 0666 less the umask. */
    private readonly mode?: number,
  ) {
    this.#fd = openAppend(path, mode);
  }

  /** Never changes if the engine has threads. */
  get fd(): number {
    return this.#fd;
  }

  get stat(): Stats {
    return fstatSync(this.#fd);
  }

  /** @returns bytes written, possibly fewer than given @throws the system's error */
  write(pieces: Buffer[]): number {
    return writevSync(this.#fd, pieces);
  }

  /**
   * Continues in the file now at the path, or in a new one.
   * @param old gives a new file its owner, and its mode if none is set
   * @param target where to create a new file: the path with symbolic links resolved
   * @throws the system's error; the old file then stays open
   */
  reopen(old?: Stats, target = this.path): void {
    const attributes = old && { uid: old.uid, gid: old.gid, mode: this.mode ?? old.mode };
    const created = attributes && create(target, attributes.mode);
    const fd = created ?? openAppend(this.path, this.mode);
    const { redirect } = this.engine;
    try {
      if (created !== undefined) copyOwnerAndMode(created, attributes!);
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

/** O_NONBLOCK: a device that waits for its other end must not block the program. */
const { O_WRONLY, O_APPEND, O_CREAT, O_EXCL, O_NONBLOCK, O_NOCTTY } = constants;
const APPEND = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY;

/** @param mode of a created file, regardless of the umask; an existing file keeps its mode */
function openAppend(path: string, mode?: number): number {
  const created = mode === undefined ? undefined : create(path, mode);
  // Also for a dangling symbolic link, which O_EXCL does not follow (open(2)).
  if (created === undefined) return openSync(path, APPEND, mode ?? 0o666);
  try {
    fchmodSync(created, mode!);
    return created;
  } catch (error) {
    closeSync(created);
    throw error;
  }
}

/**
 * Creates a file. Only a new file may change its owner: a symbolic link planted there could lead to any file.
 * @returns undefined if the path exists
 */
function create(path: string, mode: number): number | undefined {
  try {
    return openSync(path, APPEND | O_EXCL, mode & 0o777);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined;
    throw error;
  }
}

/** Copies owner and mode, so that access stays the same. Only root can change the owner (chown(2)). */
function copyOwnerAndMode(fd: number, { uid, gid, mode }: Pick<Stats, 'uid' | 'gid' | 'mode'>): void {
  const own = fstatSync(fd);
  if (process.getuid?.() === 0 && (own.uid !== uid || own.gid !== gid)) fchownSync(fd, uid, gid);
  if (own.mode !== mode) fchmodSync(fd, mode & 0o7777);
}
