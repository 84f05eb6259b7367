import { closeSync, constants, fstatSync, openSync, type Stats } from 'node:fs';
import { Socket } from 'node:net';
import { isatty } from 'node:tty';
import { failure, MproxyError, usage } from 'mproxy-base';
import type { Engine } from 'mproxy-net';
import { FileInput } from './file-input.js';
import type { Input } from './input.js';
import { TerminalInput } from './terminal-input.js';

export interface InputOptions {
  /** Sets a terminal raw. */
  engine: Pick<Engine, 'makeRaw'>;
  /** The speed of a serial device; default as it is set. */
  baud?: number | undefined;
  /** Whether blocks of a file may be filled again, where their takers are done with them at once; default false. */
  lends?: boolean;
}

/**
 * Opens a file, FIFO, terminal, device, or `-` for stdin.
 * @throws MPROXY_FILE; MPROXY_USAGE where a speed is given for what has none
 */
export function openInput(path: string, { engine, baud, lends = false }: InputOptions): Input {
  let fd: number | undefined;
  try {
    // A stdin that was closed by whoever started the program is found out here.
    if (path === '-') return streamInput(process.stdin);
    // Without O_NONBLOCK a FIFO's open waits for its writer (fifo(7)).
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    const stat = fstatSync(fd);
    if (stat.isDirectory()) throw Object.assign(new Error('it is a directory'), { code: 'EISDIR' });
    if (isatty(fd)) return new TerminalInput(fd, stat, engine.makeRaw(fd, baud));
    if (baud !== undefined) throw usage('--baud', path, 'not a serial device or terminal: it has no speed');
    if (stat.isFIFO()) return streamInput(new Socket({ fd, readable: true, writable: false }), stat);
    return new FileInput(fd, stat, lends);
  } catch (error) {
    if (fd !== undefined) closeSync(fd);
    if (error instanceof MproxyError) throw error;
    throw failure('MPROXY_FILE', 'opening', path, error);
  }
}

function streamInput(stream: NodeJS.ReadStream | Socket, stat?: Stats): Input {
  let stopped = false;
  return {
    ...(stat && { stat }),
    async *chunks() {
      try {
        for await (const chunk of stream) yield chunk as Buffer;
      } catch (error) {
        if (!stopped) throw error;
      }
    },
    stop() {
      stopped = true;
      stream.destroy();
    },
  };
}
