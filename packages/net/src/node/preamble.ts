import type { Socket } from 'node:net';
import { findPreamble, noPreamble } from '../preamble.js';
import { timedOut } from '../socket-errors.js';
import type { Preamble, PreambleOptions } from '../streams.js';

const preambles = new WeakMap<Socket, Preamble>();

/** What a socket began with. */
export function preambleOf(socket: Socket): Preamble | undefined {
  return preambles.get(socket);
}

/**
 * Reads what a socket begins with; what comes behind it stays in the socket, where node:tls finds it.
 * @param timeout in milliseconds
 * @param onRead it is read, see {@link preambleOf}; not called if the socket is closed before
 */
export function readPreamble(
  socket: Socket,
  options: PreambleOptions,
  timeout: number,
  { onRead, onError }: { onRead(): void; onError(error: Error): void },
): void {
  let bytes = Buffer.alloc(0);
  const over = () => {
    clearTimeout(timer);
    socket.off('readable', read).off('end', ended).off('error', failed).off('close', over);
  };
  const failed = (error: Error) => {
    over();
    onError(error);
  };
  const ended = () => failed(noPreamble(bytes));
  const read = () => {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) return;
    const begun = bytes.length;
    bytes = Buffer.concat([bytes, chunk]);
    const found = findPreamble(options, bytes, begun);
    if (found instanceof Error) failed(found);
    if (!found || found instanceof Error) return;
    over();
    preambles.set(socket, found);
    if (bytes.length > found.length) socket.unshift(bytes.subarray(found.length));
    onRead();
  };
  const timer = setTimeout(() => failed(timedOut('the preamble timed out')), timeout);
  socket.on('readable', read).on('end', ended).on('error', failed).on('close', over);
}
