import { constants, type Stats } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';

export const PACKED = '.gz';
/** Suffix of an incomplete compressed file. */
export const UNDER_WAY = '.gz.part';

/** Neither follow a symbolic link nor block on a FIFO that was planted there. Windows has neither flag. */
const READ = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/** Compresses files in the background, one at a time, to leave the rest of the machine to traffic. */
export class Gzip {
  #previous: Promise<unknown> = Promise.resolve();

  /** Replaces a file by `FILE.gz`. @throws the system's error; the file is then unchanged */
  compress(path: string, signal: AbortSignal): Promise<void> {
    const done = this.#previous.then(() => compress(path, signal));
    this.#previous = done.catch(() => undefined);
    return done;
  }
}

/** At least one of the two files is always complete, even after a power failure. */
async function compress(path: string, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const part = `${path}${UNDER_WAY}`;
  const from = await open(path, READ);
  try {
    const like = await from.stat();
    if (!like.isFile()) throw new Error('it is no regular file');
    await pack(from, await createLike(part, like), like, signal);
    await rename(part, `${path}${PACKED}`);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  } finally {
    await from.close();
  }
  await syncDirectory(path);
  await rm(path, { force: true });
}

/** Creates a file with the same owner and mode as another. */
async function createLike(path: string, { mode, uid, gid }: Stats): Promise<FileHandle> {
  await rm(path, { force: true });
  const file = await open(path, 'wx', mode & 0o777);
  try {
    if (process.getuid?.() === 0) await file.chown(uid, gid);
    await file.chmod(mode & 0o7777);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Copies the times too, and syncs before the rename. Windows syncs only a file that is open for writing. */
async function pack(from: FileHandle, to: FileHandle, like: Stats, signal: AbortSignal): Promise<void> {
  try {
    const write = async (packed: AsyncIterable<Buffer>) => {
      for await (const chunk of packed) await to.appendFile(chunk);
    };
    await pipeline(from.createReadStream(), createGzip(), write, { signal });
    await to.utimes(like.atime, like.mtime);
    await to.sync();
  } finally {
    await to.close();
  }
}

/** A rename is durable once its directory is synced (fsync(2)). Windows cannot open a directory. */
async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const directory = await open(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await directory.sync();
  } catch (error) {
    // Some file systems do not support this (fsync(2)).
    if (!['EINVAL', 'ENOTSUP'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  } finally {
    await directory.close();
  }
}
