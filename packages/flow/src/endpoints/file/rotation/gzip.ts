import { constants, type Stats } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';

export const PACKED = '.gz';
/** What a compressed file is called until it is whole. */
export const UNDER_WAY = '.gz.part';

/**
 * Who may write to the directory can put a link or a FIFO of the name there: it is not followed, nor waited for. Windows
 * knows neither flag.
 */
const READ = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/** Compresses files in the background, one after another: the rest of the machine is for what comes in. */
export class Gzip {
  #before: Promise<unknown> = Promise.resolve();

  /** Replaces a file by `FILE.gz`. @throws the system's error; then the file is as it was */
  compress(path: string, signal: AbortSignal): Promise<void> {
    const done = this.#before.then(() => compress(path, signal));
    this.#before = done.catch(() => undefined);
    return done;
  }
}

/** At every moment there is a whole file of the one name or the other, also after a power failure. */
async function compress(path: string, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const part = `${path}${UNDER_WAY}`;
  const from = await open(path, READ);
  try {
    const like = await from.stat();
    if (!like.isFile()) throw new Error('it is no regular file');
    await pack(from, await makeLike(part, like), like, signal);
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

/** A new file, for the same readers as another. */
async function makeLike(path: string, { mode, uid, gid }: Stats): Promise<FileHandle> {
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

/** Has it on the disk before it takes the other's place, and as old. Windows syncs only what is open for writing. */
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

/** A rename is on the disk when its directory is (fsync(2)); Windows opens no directory. */
async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const directory = await open(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await directory.sync();
  } catch (error) {
    // Some file systems know no such thing (fsync(2)).
    if (!['EINVAL', 'ENOTSUP'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  } finally {
    await directory.close();
  }
}
