import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { getAsset, getRawAsset } from 'node:sea';
import { getEnvironmentData, setEnvironmentData, Worker, type WorkerOptions } from 'node:worker_threads';
import type { Koffi } from './koffi.js';

/** The two parts of the engine that are not imports, as embedded in a standalone executable. */

/** O_TMPFILE: __O_TMPFILE (<asm-generic/fcntl.h>) with O_DIRECTORY. O_EXCL: the file can never get a name. */
const TMPFILE_FLAGS = 0o20000000 | constants.O_DIRECTORY | constants.O_EXCL | constants.O_RDWR;
/** Key of the environment data that tells threads the library's path. */
const LIBRARY_KEY = 'mproxy-native-library';

/** @throws when no directory takes a loadable file, or the current one was removed: no thread can start */
export function loadKoffi(): Koffi {
  const known = getEnvironmentData(LIBRARY_KEY);
  if (typeof known === 'string') return load(known);
  const bytes = Buffer.from(getRawAsset('koffi.node') as ArrayBuffer);
  let reason = '';
  for (const directory of directories()) {
    try {
      return loadFrom(directory, bytes);
    } catch (error) {
      reason ||= (error as Error).message.split('\n')[0]!;
    }
  }
  throw new Error(`no directory to load its native part from, as TMPDIR can name one: ${reason}`);
}

export function startWorker(options: WorkerOptions): Worker {
  return new Worker(getAsset('worker.js', 'utf8'), { ...options, eval: true });
}

/** Directories to try for the file. Some may be read-only, full, or mounted noexec. */
function directories(): Set<string> {
  const { XDG_RUNTIME_DIR: own = `/run/user/${process.getuid?.()}` } = process.env;
  return new Set([tmpdir(), '/tmp', '/dev/shm', '/var/tmp', own, process.cwd()]);
}

/**
 * A library can only be loaded from a file. This one has no name: no other program can open it, and it
 * vanishes with the process. It stays open for later threads.
 */
function loadFrom(directory: string, bytes: Buffer): Koffi {
  const fd = openSync(directory, TMPFILE_FLAGS, 0o600);
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
    const path = `/proc/self/fd/${fd}`;
    const koffi = load(path);
    setEnvironmentData(LIBRARY_KEY, path);
    return koffi;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function load(path: string): Koffi {
  const module = { exports: {} };
  process.dlopen(module, path);
  return module.exports as Koffi;
}
