import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { getAsset, getRawAsset } from 'node:sea';
import { getEnvironmentData, setEnvironmentData, Worker, type WorkerOptions } from 'node:worker_threads';
import type { Koffi } from './koffi.js';

/** The two parts of the engine that are not imports, where a standalone executable carries them. */

/** O_TMPFILE is this bit with O_DIRECTORY (<asm-generic/fcntl.h>: __O_TMPFILE); with O_EXCL it can never get a name. */
const UNNAMED = 0o20000000 | constants.O_DIRECTORY | constants.O_EXCL | constants.O_RDWR;
/** Under which name the threads are told where the library is. */
const LIBRARY = 'mproxy-native-library';

/** @throws where there is no place for a file that may be loaded, or no thread can start as the current directory was removed */
export function loadKoffi(): Koffi {
  const known = getEnvironmentData(LIBRARY);
  if (typeof known === 'string') return load(known);
  const bytes = Buffer.from(getRawAsset('koffi.node') as ArrayBuffer);
  let why = '';
  for (const directory of places()) {
    try {
      return loadFrom(directory, bytes);
    } catch (error) {
      why ||= (error as Error).message.split('\n')[0]!;
    }
  }
  throw new Error(`no directory to load its native part from, as TMPDIR can name one: ${why}`);
}

export function startWorker(options: WorkerOptions): Worker {
  return new Worker(getAsset('worker.js', 'utf8'), { ...options, eval: true });
}

/** Where a file may be made. Some may be read-only, full, or mounted noexec. */
function places(): Set<string> {
  const { XDG_RUNTIME_DIR: own = `/run/user/${process.getuid?.()}` } = process.env;
  return new Set([tmpdir(), '/tmp', '/dev/shm', '/var/tmp', own, process.cwd()]);
}

/**
 * A library can only be loaded from a file. This one never has a name: nobody else can open or write it, and nothing is left
 * of it however the process ends. It stays open, for threads to come.
 */
function loadFrom(directory: string, bytes: Buffer): Koffi {
  const fd = openSync(directory, UNNAMED, 0o600);
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
    const path = `/proc/self/fd/${fd}`;
    const koffi = load(path);
    setEnvironmentData(LIBRARY, path);
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
