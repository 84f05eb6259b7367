import { closeSync, constants, fstatSync, openSync, type Stats } from 'node:fs';
import { Socket } from 'node:net';
import { isatty } from 'node:tty';
import { failure, flagNames, MproxyError, usage } from 'mproxy-base';
import type { Engine } from 'mproxy-net';
import { FileInput } from './file-input.js';
import { READ } from './flags.js';
import type { Input } from './input.js';
import { PipeInput } from './pipe-input.js';
import { TerminalInput } from './terminal-input.js';

const STDIN = 0;

export interface InputOptions {
  engine: Pick<Engine, 'makeRaw'>;
  /** Speed of a serial device, in baud; default its present speed. */
  baud?: number | undefined;
  /** Whether the blocks of a file or pipe are reused, as {@link Input.lends} says; default false. */
  lends?: boolean;
}

/**
 * Opens a file, FIFO, terminal, device, or `-` for stdin.
 * @throws MPROXY_FILE; MPROXY_USAGE for a speed on anything but a serial device or terminal
 */
export function openInput(path: string, { engine, baud, lends = false }: InputOptions): Input {
  let fd: number | undefined;
  try {
    if (path === '-') return stdinInput(lends);
    // Without O_NONBLOCK, opening a FIFO blocks until it has a writer (fifo(7)).
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    const stat = fstatSync(fd);
    if (stat.isDirectory()) throw Object.assign(new Error('it is a directory'), { code: 'EISDIR' });
    if (isatty(fd)) return new TerminalInput(fd, stat, engine.makeRaw(fd, baud));
    if (baud !== undefined)
      throw usage(flagNames({ READ }).baud, path, 'not a serial device or terminal: it has no speed');
    if (stat.isFIFO())
      return lends
        ? new PipeInput(fd, stat)
        : streamInput(new Socket({ fd, readable: true, writable: false }), stat);
    return new FileInput(fd, stat, lends);
  } catch (error) {
    if (fd !== undefined) closeSync(fd);
    if (error instanceof MproxyError) throw error;
    throw failure('MPROXY_FILE', 'opening', path, error);
  }
}

function stdinInput(lends: boolean): Input {
  // A stdin that the parent process closed is detected here.
  const stat = fstatSync(STDIN);
  const isPipe = stat.isFIFO() || stat.isSocket();
  return lends && isPipe ? new PipeInput(STDIN, stat) : streamInput(process.stdin);
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
