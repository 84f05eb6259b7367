import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';

/** Counts and hashes bytes, and keeps their last complete line. */
export class Tally {
  bytes = 0;
  lastLine = '';
  readonly #hash = createHash('sha256');
  #rest = '';

  add(chunk: Buffer): void {
    this.bytes += chunk.length;
    this.#hash.update(chunk);
    // A screen shows no more than this of a line.
    const lines = (this.#rest + chunk.toString('latin1')).split('\n');
    this.#rest = lines.pop()!.slice(0, 200);
    this.lastLine = lines.pop()?.slice(0, 200) ?? this.lastLine;
  }

  /** SHA-256 so far. */
  get digest(): string {
    return this.#hash.copy().digest('hex');
  }

  /** How this differs from the sent bytes; undefined if they are identical. */
  difference(sent: Tally): string | undefined {
    const missing = sent.bytes - this.bytes;
    if (missing !== 0)
      return `${Math.abs(missing).toLocaleString('en')} bytes ${missing > 0 ? 'missing' : 'too many'}`;
    return this.digest === sent.digest ? undefined : 'other bytes';
  }
}

/** A reader at the end of the chain. */
export interface Reader {
  readonly name: string;
  readonly tally: Tally;
  /** Reads new data, if that is not event-driven. */
  poll(): void;
  /** Whether no more data can arrive. */
  ended(): boolean;
  close(): void;
}

/**
 * Connects, and reads until the other side ends. Resolves once connected.
 * @param authority certificate to trust; without it the connection is plain TCP
 */
export async function connectReader(name: string, port: number, authority?: string): Promise<Reader> {
  const to = { port, host: '127.0.0.1' };
  const socket = authority ? connectTls({ ...to, ca: authority, servername: 'localhost' }) : connect(to);
  await new Promise<void>((resolve, reject) => {
    socket.once(authority ? 'secureConnect' : 'connect', resolve);
    socket.once('error', reject);
  });
  const tally = new Tally();
  let ended = false;
  socket.on('data', (chunk: Buffer) => tally.add(chunk));
  socket.on('error', () => undefined);
  socket.once('close', () => {
    ended = true;
  });
  return { name, tally, poll: () => undefined, ended: () => ended, close: () => socket.destroy() };
}

/** Reads a growing file. */
export function fileReader(name: string, path: string): Reader {
  const tally = new Tally();
  const file = openSync(path, 'r');
  const slab = Buffer.alloc(256 * 1024);
  const poll = () => {
    for (;;) {
      const length = readSync(file, slab, 0, slab.length, tally.bytes);
      if (length === 0) return;
      tally.add(slab.subarray(0, length));
    }
  };
  return { name, tally, poll, ended: () => true, close: () => closeSync(file) };
}
