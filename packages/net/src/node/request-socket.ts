import type { Socket } from 'node:dgram';
import type { SocketAddress } from 'mproxy-base';
import type { RequestSocket, RequestSocketOptions, SendCounts } from '../datagrams.js';
import { bind, localAddressOf, makeSocket, tuneBuffer } from './socket.js';
import { UnconnectedSocket } from './unconnected-socket.js';

export async function openRequestSocket(options: RequestSocketOptions): Promise<RequestSocket> {
  const { family, bind: own } = options;
  const socket = makeSocket(family);
  try {
    await bind(socket, own ?? { address: family === 4 ? '0.0.0.0' : '::', port: 0 });
    return new NodeRequestSocket(socket, options);
  } catch (error) {
    socket.close();
    throw error;
  }
}

class NodeRequestSocket implements RequestSocket {
  readonly local: SocketAddress;
  readonly receiveBuffer: number;
  readonly counts: SendCounts;
  readonly #unconnected: UnconnectedSocket;
  #closed = false;

  constructor(socket: Socket, { family, receiveBuffer, onMessage }: RequestSocketOptions) {
    this.local = localAddressOf(socket);
    this.receiveBuffer = tuneBuffer(socket, 'Recv', receiveBuffer);
    // A receive error, such as ENOMEM, is not fatal.
    socket.on('error', () => undefined);
    this.#unconnected = new UnconnectedSocket(socket, family, onMessage);
    this.counts = this.#unconnected.counts;
  }

  send(bytes: Buffer, to: SocketAddress): void {
    this.#unconnected.send(bytes, to);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#unconnected.close();
  }
}
