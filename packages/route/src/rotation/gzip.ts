import { constants, createReadStream, createWriteStream, type Stats } from 'node:fs';
import { open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';

export const PACKED = '.gz';
/** What a compressed file is called until it is whole. */
export const UNDER_WAY = '.gz.part';

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
  try {
    const like = await stat(path);
    const to = createWriteStream(part, { mode: like.mode & 0o777 });
    await pipeline(createReadStream(path), createGzip(), to, { signal });
    await finish(part, like);
    await rename(part, `${path}${PACKED}`);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
  await syncDirectory(path);
  await rm(path, { force: true });
}

/** Has it on the disk before it takes the other's place, and as old, and for the same readers. */
async function finish(part: string, { mode, uid, gid, atime, mtime }: Stats): Promise<void> {
  const file = await open(part, 'r+');
  try {
    if (process.getuid?.() === 0) await file.chown(uid, gid);
    await file.chmod(mode & 0o7777);
    await file.utimes(atime, mtime);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** A rename is on the disk when its directory is (fsync(2)); Windows opens no directory. */
async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const directory = await open(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
