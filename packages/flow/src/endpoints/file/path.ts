import { closeSync, constants, openSync, statSync } from 'node:fs';
import { isatty } from 'node:tty';
import { failure } from 'mproxy-base';
import type { Frame } from 'mproxy-framing';
import type { Program } from '../../program.js';
import type { Rotation } from './rotation/options.js';
import { FileSink } from './sink.js';
import { openStreamSink, type StreamSink, stdoutSink } from './stream-sink.js';

/** Whether a path is a regular file or missing: several listeners then write one each. @throws MPROXY_FILE */
export function isRegular(path: string): boolean {
  if (path === '-') return false;
  try {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat?.isDirectory()) throw Object.assign(new Error('it is a directory'), { code: 'EISDIR' });
    return stat === undefined || stat.isFile();
  } catch (error) {
    throw failure('MPROXY_FILE', 'opening', path, error);
  }
}

/**
 * Opens a file, device, FIFO, terminal, or `-` (stdout) for appending. Only a file rotates.
 * @param waits whether sources wait for a slow reader of stdout, a FIFO or a terminal, and for a file that cannot be written
 * @param mode of created files, 0 to 0o777; default 0666 less the umask
 * @throws MPROXY_FILE
 */
export function openPathSink(
  program: Program,
  path: string,
  frame: Frame,
  waits: boolean,
  rotation?: Rotation,
  mode?: number,
): FileSink | StreamSink {
  if (path === '-') return stdoutSink(program, frame, waits);
  try {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (rotation && stat && !stat.isFile() && !stat.isDirectory())
      throw new Error('only a file can be rotated');
    if (stat?.isFIFO() || (stat?.isCharacterDevice() && isTerminal(path)))
      return openStreamSink(program, path, frame, waits);
    return program.sink(new FileSink(program, path, frame, waits, rotation, mode));
  } catch (error) {
    throw failure('MPROXY_FILE', 'opening', path, error);
  }
}

function isTerminal(path: string): boolean {
  const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    return isatty(fd);
  } finally {
    closeSync(fd);
  }
}
