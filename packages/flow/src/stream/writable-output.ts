import type { Writable } from 'node:stream';
import type { Output, OutputQueue } from 'mproxy-net';

/** A stream of Node as the output of a queue, which learns from it what was taken, and that the reader is gone. */
export function writableOutput(stream: Writable, queue: () => OutputQueue): Output {
  const abandon = () => queue().abandon();
  // Both listeners stay: process.stdout undoes its own destruction, and each later write fails again.
  stream.on('error', abandon);
  stream.on('close', abandon);
  const written = (error?: Error | null) => {
    // A stream that is destroyed calls back without an error for what it did not take.
    if (!error && !stream.destroyed) queue().taken();
  };
  return {
    write(bytes) {
      stream.cork();
      for (const [i, chunk] of bytes.entries())
        stream.write(chunk, i === bytes.length - 1 ? written : undefined);
      stream.uncork();
      return false;
    },
  };
}
