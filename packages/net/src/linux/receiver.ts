import { closeSync } from 'node:fs';
import type { SocketAddress } from 'mproxy-base';
import type {
  Deliver,
  Membership,
  OwnSender,
  ReceiveCounts,
  Receiver,
  ReceiverOptions,
  ThreadSinks,
} from '../datagrams.js';
import { findInterface, type NetInterface } from '../interfaces.js';
import { keepUp } from '../upkeep.js';
import { Assignment } from './assignment.js';
import { decodeSocketAddress } from './layout.js';
import type { Libc } from './libc.js';
import { joinGroup, kernelDrops, leaveGroup, setOption, trySetOption, tuneBuffer } from './options.js';
import { bindSocket, interfaceIndex, interfaceName, localPort, openSocket } from './socket.js';
import { receivingThreads } from './threads.js';

/** A receive buffer of this size, in bytes, holds the datagrams that arrive during a pause of the thread. */
const LARGE_BUFFER = 1024 * 1024;

const NO_SINKS: ThreadSinks = { sockets: [], files: [], clients: [] };

/** @throws the system's error */
export function openReceiver(libc: Libc, options: ReceiverOptions): Receiver {
  return new LinuxReceiver(libc, openBound(libc, options), options);
}

/** Opens a socket, binds it and joins its group, if any. */
function openBound(libc: Libc, options: ReceiverOptions): number {
  const fd = openSocket(libc, options.family);
  try {
    bindAndJoin(libc, fd, options);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function bindAndJoin(libc: Libc, fd: number, options: ReceiverOptions): void {
  const { address, port, family, membership, ipv6Only } = options;
  if (family === 6) setOption(libc, fd, 'IPV6_V6ONLY', ipv6Only ? 1 : 0);
  // Not before Linux 5.0: each entry is then a single datagram.
  trySetOption(libc, fd, 'UDP_GRO', 1);
  // Deliver only groups that this socket itself joined (ip(7), ipv6(7)).
  setOption(libc, fd, 'IP_MULTICAST_ALL', 0);
  if (family === 6) trySetOption(libc, fd, 'IPV6_MULTICAST_ALL', 0);
  if (membership) setOption(libc, fd, 'SO_REUSEADDR', 1);
  tuneBuffer(libc, fd, 'RCV', options.receiveBuffer);
  const zone = family === 6 && membership ? `%${membership.interface.name}` : '';
  bindSocket(libc, fd, { address: `${address}${zone}`, port });
  if (membership) join(libc, fd, options, membership);
}

/** A socket that is received from on a thread. */
class LinuxReceiver implements Receiver {
  readonly local: SocketAddress;
  readonly receiveBuffer: number;
  readonly threaded = true;
  readonly #ignored: OwnSender[] = [];
  readonly #stopUpkeep: () => void = () => {};
  #running: Assignment | undefined;
  #stopped = false;
  #closed = false;
  /** Kernel drops of this socket and those it replaced, and the last counter value of this one. */
  #dropped = 0;
  #lastDrops = 0;

  constructor(
    private readonly libc: Libc,
    private readonly fd: number,
    private readonly options: ReceiverOptions,
  ) {
    const { address, port, membership, notice } = options;
    this.local = { address, port: localPort(libc, fd) };
    this.receiveBuffer = tuneBuffer(libc, fd, 'RCV', options.receiveBuffer);
    if (membership) {
      const user = {
        use: (current: NetInterface) => join(libc, fd, options, { ...membership, interface: current }),
        renew: async (current: NetInterface) => this.#renew({ ...membership, interface: current }),
      };
      this.#stopUpkeep = keepUp(membership.interface, user, `group ${address}:${port}`, notice);
    } else {
      const zone = /%(.+)$/.exec(address)?.[1];
      const on = zone === undefined ? undefined : findInterface(zone);
      const user = { use: () => false, renew: async () => this.#rebind() };
      if (on) this.#stopUpkeep = keepUp(on, user, `udp [${address}]:${port}`, notice);
    }
    receivingThreads(libc).expect();
  }

  get counts(): ReceiveCounts {
    const { datagrams = 0, bytes = 0, empty = 0, refused = 0, dropped = 0 } = this.#running?.counts ?? {};
    return { datagrams, bytes, empty, refused, dropped, kernelDropped: this.#countDrops() };
  }

  get emptyFrom(): SocketAddress | undefined {
    const name = this.#running?.counts.emptyFrom;
    return name && decodeSocketAddress(name, 0, (index) => interfaceName(this.libc, index));
  }

  get unterminated(): boolean {
    return this.#running?.counts.unterminated ?? false;
  }

  /** The kernel's counter wraps at 2^32 (sk_drops, an int in <net/sock.h>). */
  #countDrops(): number {
    const now = this.#closed ? undefined : kernelDrops(this.libc, this.fd);
    if (now !== undefined) {
      this.#dropped += (now - this.#lastDrops) >>> 0;
      this.#lastDrops = now;
    }
    return this.#dropped;
  }

  async run(deliver: Deliver | undefined, sinks: ThreadSinks = NO_SINKS): Promise<void> {
    if (this.#stopped) return;
    const { tellsSenders = false, allow, threadFailed } = this.options;
    const roomy = this.receiveBuffer >= LARGE_BUFFER;
    const socket = { fd: this.fd, ignored: this.#ignored, roomy, tellsSenders, ...(allow && { allow }) };
    this.#running = new Assignment(socket, sinks, deliver, threadFailed);
    receivingThreads(this.libc).start(this.#running);
    try {
      await this.#running.ended;
    } finally {
      this.#close();
    }
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    if (this.#running) this.#running.stop();
    else {
      receivingThreads(this.libc).cancel();
      this.#close();
    }
  }

  ignore(from: OwnSender): void {
    this.#ignored.push(from);
  }

  #close(): void {
    this.#stopUpkeep();
    this.#countDrops();
    this.#closed = true;
    closeSync(this.fd);
  }

  /**
   * Joins again on an interface that came back, with a new socket: the old one's bind to a link-local group
   * keeps the old interface index, and its list of groups hides that the kernel dropped the membership.
   */
  #renew(membership: Membership): void {
    const { family, address } = this.options;
    const index = interfaceIndex(this.libc, membership.interface.name);
    // With the same index, closing the old socket later would end the new socket's membership.
    leaveGroup(this.libc, this.fd, { family, group: address, index });
    const fresh = openBound(this.libc, { ...this.options, port: this.local.port, membership });
    this.#replace(fresh);
  }

  /** Binds a link-local address to the new interface index. Fails while the thread holds the old socket. */
  #rebind(): void {
    this.#replace(openSocket(this.libc, this.options.family));
    if (!this.#stopped) bindAndJoin(this.libc, this.fd, { ...this.options, port: this.local.port });
  }

  /** Replaces the old socket, unless the receiver was stopped. */
  #replace(fresh: number): void {
    if (!this.#stopped) {
      this.#running?.replacing();
      this.#countDrops();
      this.#lastDrops = 0;
      this.libc.dup2(fresh, this.fd);
      this.#running?.replaced();
    }
    closeSync(fresh);
  }
}

/** @returns false when the socket was already a member */
function join(
  libc: Libc,
  fd: number,
  { address, family }: ReceiverOptions,
  { interface: on, sources }: Membership,
) {
  const group = { family, group: address, index: interfaceIndex(libc, on.name) };
  if (sources.length === 0) return joinGroup(libc, fd, group);
  return sources.map((source) => joinGroup(libc, fd, { ...group, source })).includes(true);
}
