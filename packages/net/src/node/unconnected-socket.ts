import type { Socket } from 'node:dgram';
import { isIPv4 } from 'node:net';
import type { SocketAddress } from 'mproxy-base';
import type { OnMessage, SendCounts } from '../datagrams.js';
import { Senders } from './senders.js';

/** Receives on an unconnected socket, and sends single datagrams to any address. Owns the socket. */
export class UnconnectedSocket {
  readonly counts: SendCounts = { datagrams: 0, bytes: 0, dropped: 0, errors: {}, returned: {} };
  #closed = false;

  constructor(
    private readonly socket: Socket,
    private readonly family: 4 | 6,
    private readonly onMessage: OnMessage | undefined,
  ) {
    if (!onMessage) return;
    const senders = new Senders();
    socket.on('message', (bytes, from) => onMessage(bytes, senders.of(from)));
  }

  send(bytes: Buffer, { address, port }: SocketAddress): void {
    if (!this.onMessage) throw new Error('a sender that does not hear has nobody to reply to');
    // libuv holds a datagram already: the kernel's buffer is full.
    if (this.#closed || this.socket.getSendQueueCount() > 0) {
      this.counts.dropped++;
      return;
    }
    // A datagram may arrive from port 0 (RFC 768: no reply expected), but node:dgram throws on sending to it.
    if (port === 0) {
      this.#fail('EINVAL');
      return;
    }
    const to = this.family === 6 && isIPv4(address) ? `::ffff:${address}` : address;
    // A copy: if the kernel's buffer is full, libuv holds this datagram.
    const { length } = bytes;
    this.socket.send(Buffer.from(bytes), port, to, (error) => this.#sendCompleted(length, error));
  }

  close(): void {
    this.#closed = true;
    this.socket.close();
  }

  #sendCompleted(length: number, error: NodeJS.ErrnoException | null): void {
    if (!error) {
      this.counts.datagrams++;
      this.counts.bytes += length;
    } else if (this.#closed) this.counts.dropped++;
    else this.#fail(error.code ?? error.message);
  }

  #fail(name: string): void {
    this.counts.errors[name] = (this.counts.errors[name] ?? 0) + 1;
  }
}
