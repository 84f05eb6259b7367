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

/** Errors that one system call reads. */
const ENTRIES = 16;
/** Errors that are read at once at most: a host that answers everything with one must not hold up the reader. */
const MOST = 4096;
/** How often a send is tried again at most, where errors of earlier datagrams are reported in place of its own result. */
export const MOST_TRIES = 16;
const MSG_DONTWAIT = 0x40;
const MSG_ERRQUEUE = 0x2000;

const CONTROLS = ENTRIES * MMSGHDR.size + IOVEC.size;
const NAMES = CONTROLS + ENTRIES * ERROR_SPACE;

/** Takes an error that the network returned for a datagram to an address. */
export type Returned = (errno: number, to: SocketAddress) => void;

/**
 * Asks the kernel to keep the errors that come back for what a socket sent: an unreachable or refusing host, also where
 * the socket is not connected (ip(7), ipv6(7)). The next send then fails with such an error in place of its own result,
 * and sends nothing; and a queue of the interface that is full is reported as ENOBUFS (udp_send_skb, net/ipv4/udp.c).
 */
export function keepErrors(libc: Libc, fd: number, family: 4 | 6): void {
  // Of a socket of IPv6, too: it may send to IPv4-mapped addresses.
  setOption(libc, fd, 'IP_RECVERR', 1);
  if (family === 6) setOption(libc, fd, 'IPV6_RECVERR', 1);
}

/** Reads the error queue of a socket. Several threads may: the kernel gives each entry to one of them. */
export class ErrorQueue {
  /** Everything the kernel is given the address of. */
  readonly #arena = Buffer.alloc(NAMES + ENTRIES * NAME_SPACE);
  readonly #address: bigint;
  /** The destination of the last error: as a rule that of the next. */
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

  /** Reads what is there, never waits. @returns how many errors the network returned */
  read(): number {
    let returned = 0;
    for (let read = 0; read < MOST; read += ENTRIES) {
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

  /** The kernel overwrote the lengths of an entry that it used. */
  #reset(i: number): void {
    this.#arena.writeUInt32LE(NAME_SIZE, i * MMSGHDR.size + MMSGHDR.nameLength);
    this.#arena.writeUInt32LE(ERROR_SPACE, i * MMSGHDR.size + MMSGHDR.controlLength);
  }

  /** No room for the datagram itself, which the kernel gives back with the error: it is cut off (MSG_TRUNC). */
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
