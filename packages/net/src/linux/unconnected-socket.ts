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
 * What an unconnected socket hears, and single datagrams from it to anybody. OnMessage by the event loop, since both
 * are rare beside what a thread of its own is for. The descriptor is then node:dgram's to close, and does not block
 * any more (uv_udp_open).
 */
export class UnconnectedSocket {
  readonly #counts = new SharedCounts();
  readonly #socket: Socket;
  #closed = false;
  /** The address that was sent to last, and how the kernel is told it. */
  #to: SocketAddress = { address: '', port: 0 };
  #name: Buffer = Buffer.alloc(0);

  constructor(
    private readonly libc: Libc,
    private readonly fd: number,
    family: 4 | 6,
    onMessage: OnMessage,
    /** Reads and counts the socket's error queue. @returns how many errors the network returned */
    private readonly readErrors: () => number,
  ) {
    // Bound to a wildcard: without this it would get groups that others joined on its port (ip(7), ipv6(7)).
    setOption(libc, fd, 'IP_MULTICAST_ALL', 0);
    if (family === 6) trySetOption(libc, fd, 'IPV6_MULTICAST_ALL', 0);
    const senders = new Senders();
    this.#socket = createSocket(family === 4 ? 'udp4' : 'udp6');
    this.#socket.on('message', (bytes, from) => onMessage(bytes, senders.of(from)));
    // An error of receiving, as want of memory is: the next datagram may come all the same. Or one that the network
    // returned: until the error queue is read, epoll(7) reports the socket again and again.
    this.#socket.on('error', () => this.readErrors());
    // uv_udp_open (libuv, src/unix/udp.c) sets it; nobody shall take a part of what comes to the port.
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
    // The error of an earlier datagram is reported in place of this one's, which was not sent (IP_RECVERR, ip(7)).
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

  /** @returns false when the address is on an interface that is gone */
  #encode(to: SocketAddress): boolean {
    const { address, port } = to;
    // The index of a zone may have changed.
    if (this.#to.address === address && this.#to.port === port && !address.includes('%')) return true;
    try {
      // A socket of IPv6 takes an IPv4 address as it is (udpv6_sendmsg, net/ipv6/udp.c).
      this.#name = endpointBytes(this.libc, address, port);
    } catch (error) {
      throwInternal(error);
      return false;
    }
    this.#to = { address, port };
    return true;
  }
}
