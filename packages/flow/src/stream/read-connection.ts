import { isInternal } from 'mproxy-base';
import type { Connection } from 'mproxy-net';
import type { FramedStream } from './framed-stream.js';

/**
 * Starts a connection, and pushes what it receives into a stream. Reads nothing while the sinks are full.
 * @param onIdle see `ConnectionHandler`
 * @returns why it failed; undefined when its peer ended it, or this program closed it
 * @throws a bug of this program
 */
export function readConnection(
  connection: Connection,
  stream: FramedStream,
  onIdle: () => void = () => undefined,
): Promise<Error | undefined> {
  return new Promise((resolve, reject) => {
    const failed = (error: unknown) => {
      if (isInternal(error)) reject(error);
      else connection.close(error as Error);
    };
    let busy: Promise<void> | undefined;
    const onData = (bytes: Buffer) => {
      try {
        busy = stream.push(bytes);
        if (!busy) return;
        connection.pause();
        busy.then(() => connection.resume(), failed);
      } catch (error) {
        failed(error);
      }
    };
    // The next connection begins when the sinks have room.
    const ended = (error?: Error) => Promise.resolve(busy).then(() => resolve(error), failed);
    connection.start({ onData, onEnd: ended, onIdle, onClose: ended });
  });
}
