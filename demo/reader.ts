import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';

/** Every byte that went by somewhere: how many, what they were, and the last whole line of them. */
export class Tally {
  bytes = 0;
  lastLine = '';
  readonly #hash = createHash('sha256');
  #rest = '';

  add(chunk: Buffer): void {
    this.bytes += chunk.length;
    this.#hash.update(chunk);
    // A line that is longer than what a screen shows needs no more of it.
    const lines = (this.#rest + chunk.toString('latin1')).split('\n');
    this.#rest = lines.pop()!.slice(0, 200);
    this.lastLine = lines.pop()?.slice(0, 200) ?? this.lastLine;
  }

  /** The SHA-256 of all of it, so far. */
  get digest(): string {
    return this.#hash.copy().digest('hex');
  }

  /** How this differs from what was sent; undefined when it is the same, byte for byte. */
  difference(sent: Tally): string | undefined {
    const missing = sent.bytes - this.bytes;
    if (missing !== 0)
      return `${Math.abs(missing).toLocaleString('en')} bytes ${missing > 0 ? 'missing' : 'too many'}`;
    return this.digest === sent.digest ? undefined : 'other bytes';
  }
}

/** Who reads at the end of the chain. */
export interface Reader {
  readonly name: string;
  readonly tally: Tally;
  /** Takes in what came, where that does not happen by itself. */
  poll(): void;
  /** Whether nothing more can come. */
  ended(): boolean;
  close(): void;
}

/**
 * Connects, and reads until the other side ends. Resolves once connected.
 * @param authority the certificate to trust, for TLS
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

/** Reads a file that grows. */
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
