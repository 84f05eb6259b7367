import { createSocket, type Socket } from 'node:dgram';
import type { SocketAddress } from 'mproxy-base';
import { throwInternal } from 'mproxy-base';
import type { OnMessage, SendCounts } from '../datagrams.js';
import { Senders } from '../node/senders.js';
import { SharedCounts } from './counts.js';
import { ERRNO } from './errno.js';
import { MOST_TRIES } from './error-queue.js';
import type { Libc } from './libc.js';
import { getOption, setOption, trySetOption } from './options.js';
import { endpointBytes } from './socket.js';

const MSG_DONTWAIT = 0x40;

/**
 * Receives on an unconnected socket, and sends single datagrams to any address; on the event loop, as both
 * are rare. node:dgram owns and closes the descriptor, and makes it non-blocking (uv_udp_open).
 */
export class UnconnectedSocket {
  readonly #counts = new SharedCounts();
  readonly #socket: Socket;
  #closed = false;
  /** The last destination, and its encoded form. */
  #to: SocketAddress = { address: '', port: 0 };
  #name: Buffer = Buffer.alloc(0);

  constructor(
    private readonly libc: Libc,
    private readonly fd: number,
    family: 4 | 6,
    onMessage: OnMessage,
    /** Reads and counts the socket's error queue. @returns the number of errors that the network returned */
    private readonly readErrors: () => number,
  ) {
    // A wildcard bind would otherwise receive groups that others joined on its port (ip(7), ipv6(7)).
    setOption(libc, fd, 'IP_MULTICAST_ALL', 0);
    if (family === 6) trySetOption(libc, fd, 'IPV6_MULTICAST_ALL', 0);
    const senders = new Senders();
    this.#socket = createSocket(family === 4 ? 'udp4' : 'udp6');
    this.#socket.on('message', (bytes, from) => onMessage(bytes, senders.of(from)));
    // A receive error, such as ENOMEM, is not fatal. After an error returned by the network, epoll(7) reports
    // the socket repeatedly until the error queue is read.
    this.#socket.on('error', () => this.readErrors());
    // uv_udp_open (libuv, src/unix/udp.c) sets it: another process could then take datagrams to this port.
    const reuse = getOption(libc, fd, 'SO_REUSEADDR');
    this.#socket.bind({ fd, exclusive: true });
    setOption(libc, fd, 'SO_REUSEADDR', reuse);
  }

  get counts(): SendCounts {
    return this.#counts.read();
  }

  send(bytes: Buffer, to: SocketAddress): void {
    if (this.#closed) {
      this.#counts.dropped++;
      return;
    }
    let errno = this.#sendTo(bytes, to);
    // An earlier datagram's error may be reported: this one was then not sent (IP_RECVERR, ip(7)).
    for (let tries = 0; errno !== 0 && errno !== ERRNO.EAGAIN && tries < MOST_TRIES; tries++) {
      const returned = this.readErrors();
      if (returned === 0 && errno !== ERRNO.ECONNREFUSED) break;
      errno = this.#sendTo(bytes, to);
    }
    if (errno === 0) this.#counts.moved(1, bytes.length);
    else if (errno === ERRNO.EAGAIN || errno === ERRNO.ENOBUFS) this.#counts.dropped++;
    else this.#counts.failed(errno, 1);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
  }

  /** @returns 0, or the errno */
  #sendTo(bytes: Buffer, to: SocketAddress): number {
    if (!this.#encode(to)) return ERRNO.ENODEV;
    const { libc, fd } = this;
    const sent = libc.sendto(fd, bytes, bytes.length, MSG_DONTWAIT, this.#name, this.#name.length);
    return Number(sent) < 0 ? libc.errno() : 0;
  }

  /** @returns false when the zone's interface is gone */
  #encode(to: SocketAddress): boolean {
    const { address, port } = to;
    // A zone's index may have changed.
    if (this.#to.address === address && this.#to.port === port && !address.includes('%')) return true;
    try {
      // An IPv6 socket accepts a struct sockaddr_in (udpv6_sendmsg, net/ipv6/udp.c).
      this.#name = endpointBytes(this.libc, address, port);
    } catch (error) {
      throwInternal(error);
      return false;
    }
    this.#to = { address, port };
    return true;
  }
}
