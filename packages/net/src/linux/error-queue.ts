import type { SocketAddress } from 'mproxy-base';
import {
  decodeReturned,
  decodeSocketAddress,
  ERROR_SPACE,
  IOVEC,
  MMSGHDR,
  NAME_SIZE,
  NAME_SPACE,
} from './layout.js';
import type { Libc } from './libc.js';
import { setOption } from './options.js';
import { interfaceName } from './socket.js';

/** Errors read per system call. */
const ENTRIES = 16;
/** Limit of errors per read(): a host that answers every datagram with an error must not stall the reader. */
const MAX_ERRORS = 4096;
/** Limit of retries of a send that reports errors of earlier datagrams in place of its own result. */
export const MOST_TRIES = 16;
const MSG_DONTWAIT = 0x40;
const MSG_ERRQUEUE = 0x2000;

const CONTROLS = ENTRIES * MMSGHDR.size + IOVEC.size;
const NAMES = CONTROLS + ENTRIES * ERROR_SPACE;

/** Receives an error that the network returned for a datagram, and the datagram's destination. */
export type Returned = (errno: number, to: SocketAddress) => void;

/**
 * Has the kernel queue the errors returned for datagrams (host unreachable, refused), also of an unconnected
 * socket (ip(7), ipv6(7)). The next send fails with such an error in place of its own result, and sends
 * nothing. A full interface queue is reported as ENOBUFS (udp_send_skb, net/ipv4/udp.c).
 */
export function keepErrors(libc: Libc, fd: number, family: 4 | 6): void {
  // Also on an IPv6 socket, which may send to IPv4-mapped addresses.
  setOption(libc, fd, 'IP_RECVERR', 1);
  if (family === 6) setOption(libc, fd, 'IPV6_RECVERR', 1);
}

/** Reads a socket's error queue. Several threads may read it: the kernel gives each entry to one of them. */
export class ErrorQueue {
  /** Kept in a field: the kernel is given its address. */
  readonly #arena = Buffer.alloc(NAMES + ENTRIES * NAME_SPACE);
  readonly #address: bigint;
  /** The destination of the last error, cached: the next error usually has the same. */
  readonly #name = Buffer.alloc(NAME_SIZE);
  #to: SocketAddress = { address: '', port: 0 };

  constructor(
    private readonly libc: Libc,
    private readonly fd: number,
    private readonly returned: Returned,
  ) {
    this.#address = libc.address(this.#arena);
    this.#layOut();
  }

  /** Reads without blocking. @returns the number of errors that the network returned */
  read(): number {
    let returned = 0;
    for (let read = 0; read < MAX_ERRORS; read += ENTRIES) {
      const flags = MSG_ERRQUEUE | MSG_DONTWAIT;
      const count = this.libc.recvmmsg(this.fd, this.#address, ENTRIES, flags, null);
      for (let i = 0; i < count; i++) {
        if (this.#take(i)) returned++;
        this.#reset(i);
      }
      if (count < ENTRIES) break;
    }
    return returned;
  }

  #take(i: number): boolean {
    const length = this.#arena.readUInt32LE(i * MMSGHDR.size + MMSGHDR.controlLength);
    const errno = decodeReturned(this.#arena, CONTROLS + i * ERROR_SPACE, length);
    if (errno === 0) return false;
    const name = this.#arena.subarray(NAMES + i * NAME_SPACE, NAMES + i * NAME_SPACE + NAME_SIZE);
    if (!name.equals(this.#name)) {
      name.copy(this.#name);
      this.#to = decodeSocketAddress(name, 0, (index) => interfaceName(this.libc, index));
    }
    this.returned(errno, this.#to);
    return true;
  }

  /** The kernel overwrites the lengths of an entry it uses. */
  #reset(i: number): void {
    this.#arena.writeUInt32LE(NAME_SIZE, i * MMSGHDR.size + MMSGHDR.nameLength);
    this.#arena.writeUInt32LE(ERROR_SPACE, i * MMSGHDR.size + MMSGHDR.controlLength);
  }

  /** No buffer for the datagram that comes with the error: the kernel truncates it (MSG_TRUNC). */
  #layOut(): void {
    const arena = this.#arena;
    for (let i = 0; i < ENTRIES; i++) {
      const header = i * MMSGHDR.size;
      const pointer = (value: number, at: number) =>
        arena.writeBigUInt64LE(this.#address + BigInt(value), header + at);
      pointer(NAMES + i * NAME_SPACE, MMSGHDR.name);
      pointer(ENTRIES * MMSGHDR.size, MMSGHDR.iov);
      arena.writeBigUInt64LE(1n, header + MMSGHDR.iovCount);
      pointer(CONTROLS + i * ERROR_SPACE, MMSGHDR.control);
      this.#reset(i);
    }
  }
}
