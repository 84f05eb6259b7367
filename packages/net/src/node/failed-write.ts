import type { Socket } from 'node:net';

type Called = (error?: Error | null) => void;

/**
 * Has a socket live on after a write that failed: Node would destroy it at once, with all that was received and not read. The write
 * is never called back.
 * @param onFailure is to see to its end
 */
export function survivesFailedWrite(socket: Socket, onFailure: (error: Error) => void): void {
  const { _write: write, _writev: writev } = socket;
  const guarded =
    (called: Called): Called =>
    (error) => {
      if (error && !socket.destroyed) onFailure(error);
      else called(error);
    };
  socket._write = (chunk, encoding, called) => write.call(socket, chunk, encoding, guarded(called));
  if (writev) socket._writev = (chunks, called) => writev.call(socket, chunks, guarded(called));
}
