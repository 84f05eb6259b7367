import type { SocketAddress } from 'mproxy-base';
import type { RequestSocket, RequestSocketOptions, SendCounts } from '../datagrams.js';
import { ErrorQueue, keepErrors } from './error-queue.js';
import type { Libc } from './libc.js';
import { tuneBuffer } from './options.js';
import { Returns } from './returns.js';
import { bindSocket, localPort, openSocket } from './socket.js';
import { UnconnectedSocket } from './unconnected-socket.js';

/** @throws the system's error */
export function openRequestSocket(libc: Libc, options: RequestSocketOptions): RequestSocket {
  const fd = openSocket(libc, options.family);
  try {
    return new LinuxRequestSocket(libc, fd, options);
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

class LinuxRequestSocket implements RequestSocket {
  readonly local: SocketAddress;
  readonly receiveBuffer: number;
  readonly #unconnected: UnconnectedSocket;
  readonly #returns = new Returns();
  readonly #readErrors: () => number;
  #closed = false;

  constructor(libc: Libc, fd: number, { family, bind, receiveBuffer, onMessage }: RequestSocketOptions) {
    this.receiveBuffer = tuneBuffer(libc, fd, 'RCV', receiveBuffer);
    const own = bind ?? { address: family === 4 ? '0.0.0.0' : '::', port: 0 };
    bindSocket(libc, fd, own);
    this.local = { address: own.address, port: localPort(libc, fd) };
    keepErrors(libc, fd, family);
    const queue = new ErrorQueue(libc, fd, (errno, to) => this.#returns.add(errno, to));
    this.#readErrors = () => queue.read();
    // Last: it owns and closes the descriptor.
    this.#unconnected = new UnconnectedSocket(libc, fd, family, onMessage, this.#readErrors);
  }

  get counts(): SendCounts {
    if (!this.#closed) this.#readErrors();
    return this.#returns.into(this.#unconnected.counts);
  }

  send(bytes: Buffer, to: SocketAddress): void {
    this.#unconnected.send(bytes, to);
  }

  close(): void {
    this.#closed = true;
    this.#unconnected.close();
  }
}
