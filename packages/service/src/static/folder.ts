import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readlinkSync,
  realpathSync,
  type Stats,
  statSync,
} from 'node:fs';
import { join, sep } from 'node:path';
import { failure } from 'mproxy-base';

/** An open regular file. Whoever has it closes it. */
export interface OpenFile {
  fd: number;
  stat: Stats;
}

/** O_NONBLOCK: a FIFO that took the name of the file meanwhile must not block the program. Windows lacks both. */
const FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOCTTY ?? 0);

/** Errors that say that there is no such file, or none that may be read. */
const ABSENT = ['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'ELOOP', 'ENAMETOOLONG', 'ENXIO', 'ENODEV'];

/** A folder whose files are read, and nothing outside of it. */
export class Folder {
  /** Its path without symbolic links. */
  #real: string;

  /** @throws MPROXY_FILE it is no folder, or may not be read */
  constructor(private readonly path: string) {
    try {
      this.#real = realpathSync.native(path);
      if (!statSync(path).isDirectory())
        throw Object.assign(new Error('it is no folder'), { code: 'ENOTDIR' });
    } catch (error) {
      throw failure('MPROXY_FILE', 'static', path, error);
    }
  }

  /**
   * Opens a regular file. Symbolic links are followed; where they lead out of the folder, there is no such file.
   * @returns `folder`: it is one; undefined: there is no such file, or none that this program may read
   * @throws the system's error: EMFILE, EIO
   */
  open(names: readonly string[]): OpenFile | 'folder' | undefined {
    const path = join(this.path, ...names);
    try {
      // Before it is opened, which has effects on FIFOs and devices.
      const found = statSync(path, { throwIfNoEntry: false });
      if (found?.isDirectory()) return this.#contains(realpathSync.native(path)) ? 'folder' : undefined;
      return found?.isFile() ? this.#checked(path, openSync(path, FLAGS)) : undefined;
    } catch (error) {
      if (ABSENT.includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
      throw error;
    }
  }

  /** What was opened, if that is a file in the folder, whatever became of its path since. */
  #checked(path: string, fd: number): OpenFile | undefined {
    let file: OpenFile | undefined;
    try {
      const stat = fstatSync(fd);
      if (stat.isFile() && this.#contains(openedPath(fd, path, stat))) file = { fd, stat };
    } finally {
      if (!file) closeSync(fd);
    }
    return file;
  }

  /** @param path without symbolic links */
  #contains(path: string): boolean {
    if (isWithin(this.#real, path)) return true;
    // The folder may be a symbolic link that leads elsewhere now, to a new release.
    const real = realpathSync.native(this.path);
    if (real === this.#real) return false;
    this.#real = real;
    return isWithin(real, path);
  }
}

/** The path of an open file without symbolic links; '': it is not known any more. */
function openedPath(fd: number, path: string, stat: Stats): string {
  if (process.platform === 'linux') return readlinkSync(`/proc/self/fd/${fd}`);
  const real = realpathSync.native(path);
  const now = statSync(real);
  return now.ino === stat.ino && now.dev === stat.dev ? real : '';
}

function isWithin(folder: string, path: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}
