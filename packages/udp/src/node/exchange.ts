import type { Socket } from 'node:dgram';
import type { Endpoint, Exchange, ExchangeOptions, SendCounts } from '../contract.js';
import { Correspondent } from './correspondent.js';
import { bind, localEndpoint, makeSocket, tuneBuffer } from './socket.js';

export async function openExchange(options: ExchangeOptions): Promise<Exchange> {
  const { family, bind: own } = options;
  const socket = makeSocket(family);
  try {
    await bind(socket, own ?? { address: family === 4 ? '0.0.0.0' : '::', port: 0 });
    return new NodeExchange(socket, options);
  } catch (error) {
    socket.close();
    throw error;
  }
}

class NodeExchange implements Exchange {
  readonly local: Endpoint;
  readonly receiveBuffer: number;
  readonly counts: SendCounts;
  readonly #correspondent: Correspondent;
  #closed = false;

  constructor(socket: Socket, { family, receiveBuffer, heard }: ExchangeOptions) {
    this.local = localEndpoint(socket);
    this.receiveBuffer = tuneBuffer(socket, 'Recv', receiveBuffer);
    // An error of receiving, as want of memory is: the next datagram may come all the same.
    socket.on('error', () => undefined);
    this.#correspondent = new Correspondent(socket, family, heard);
    this.counts = this.#correspondent.counts;
  }

  send(bytes: Buffer, to: Endpoint): void {
    this.#correspondent.send(bytes, to);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#correspondent.close();
  }
}
