import type { RemoteInfo, Socket } from 'node:dgram';
import type { SocketAddress } from 'mproxy-base';
import { throwInternal } from 'mproxy-base';
import { Batch } from 'mproxy-framing/batch';
import { Allowed } from '../allowed.js';
import type {
  Deliver,
  Membership,
  OwnSender,
  ReceiveCounts,
  Receiver,
  ReceiverOptions,
} from '../datagrams.js';
import { findInterface, type NetInterface } from '../interfaces.js';
import { untilQuiet } from '../quiet.js';
import { type InterfaceUser, keepUp } from '../upkeep.js';
import { KernelDrops } from './drops.js';
import { Senders } from './senders.js';
import { bind, dgramInterface, localAddressOf, makeSocket, plainAddress, tuneBuffer } from './socket.js';

/** Bytes; less than the kernel counts for a datagram beside its data (SKB_TRUESIZE, <linux/skbuff.h>). */
const DATAGRAM_MEMORY = 512;

export async function openReceiver(options: ReceiverOptions): Promise<Receiver> {
  return new NodeReceiver(await openSocket(options), options);
}

/** A socket that is bound and, for a group, has joined it. */
interface Opened {
  socket: Socket;
  drops: KernelDrops;
  receiveBuffer: number;
}

async function openSocket(options: ReceiverOptions): Promise<Opened> {
  const { family, membership, address } = options;
  const socket = makeSocket(family, {
    reuseAddr: membership !== undefined,
    ipv6Only: options.ipv6Only ?? false,
  });
  try {
    const drops = new KernelDrops(family);
    await bind(socket, membership ? groupEndpoint(options, membership) : options);
    drops.attach(localAddressOf(socket));
    const receiveBuffer = tuneBuffer(socket, 'Recv', options.receiveBuffer);
    if (membership) join(socket, address, family, membership.sources, membership.interface);
    return { socket, drops, receiveBuffer };
  } catch (error) {
    socket.close();
    throw error;
  }
}

/**
 * A socket bound to the group receives no other group on its port. Windows binds to local addresses only;
 * a link-local group needs its zone.
 */
function groupEndpoint(
  { address, port, family }: ReceiverOptions,
  { interface: on }: Membership,
): SocketAddress {
  if (process.platform === 'win32') return { address: family === 4 ? '0.0.0.0' : '::', port };
  return { address: family === 6 ? `${address}%${on.name}` : address, port };
}

class NodeReceiver implements Receiver {
  readonly local: SocketAddress;
  readonly receiveBuffer: number;
  readonly threaded = false;
  readonly #moved = { datagrams: 0, bytes: 0, empty: 0 };
  #emptyFrom: RemoteInfo | undefined;
  #unterminated = false;
  readonly #batch = new Batch();
  readonly #ignored: OwnSender[] = [];
  #deliver: Deliver | undefined;
  /** Datagrams received between the bind and run(), their memory, and the number dropped beyond the limit. */
  #early: [message: Buffer, from: RemoteInfo][] = [];
  #earlyMemory = 0;
  #dropped = 0;
  #refused = 0;
  readonly #allowed: Allowed | undefined;
  readonly #senders: Senders | undefined;
  /** Kernel memory of all datagrams received, in bytes. */
  #receivedMemory = 0;
  /** Undefined while the interface is gone. */
  #opened: Opened | undefined;
  /** Kernel drops of closed sockets. */
  #droppedBefore: number | undefined;
  #stopped = false;
  #ended!: () => void;
  readonly #end = new Promise<void>((resolve) => {
    this.#ended = resolve;
  });
  readonly #stopUpkeep: () => void;

  constructor(
    opened: Opened,
    private readonly options: ReceiverOptions,
  ) {
    this.local = localAddressOf(opened.socket);
    this.receiveBuffer = opened.receiveBuffer;
    if (options.allow) this.#allowed = new Allowed(options.allow);
    if (options.tellsSenders) this.#senders = new Senders();
    this.#listen(opened);
    this.#stopUpkeep = this.#keepUp();
  }

  run(deliver: Deliver | undefined): Promise<void> {
    this.#deliver = deliver ?? (() => undefined);
    for (const [message, from] of this.#early) this.#deliverOne(message, from, this.#deliver);
    this.#early = [];
    this.#earlyMemory = 0;
    return this.#end;
  }

  stop(): void {
    this.#stopped = true;
    this.#stopUpkeep();
    void this.#close().then(this.#ended);
  }

  ignore(from: OwnSender): void {
    this.#ignored.push(from);
  }

  get counts(): ReceiveCounts {
    return {
      ...this.#moved,
      kernelDropped: this.#kernelDropped,
      dropped: this.#dropped,
      refused: this.#refused,
    };
  }

  get emptyFrom(): SocketAddress | undefined {
    const from = this.#emptyFrom;
    return from && { address: plainAddress(from.address), port: from.port };
  }

  get unterminated(): boolean {
    return this.#unterminated;
  }

  get #kernelDropped(): number | undefined {
    const now = this.#opened?.drops.read();
    return now === undefined ? this.#droppedBefore : (this.#droppedBefore ?? 0) + now;
  }

  #listen(opened: Opened): void {
    const { address, port } = this.local;
    this.#opened = opened;
    opened.socket.on('error', (error) => this.options.notice(`udp ${address}:${port}: ${error.message}`));
    opened.socket.on('message', (message, from) => this.#take(message, from));
  }

  /** Only groups and link-local addresses depend on an interface. */
  #keepUp(): () => void {
    const { address, port, family, membership, notice } = this.options;
    if (!membership) {
      const on = findInterface(/%(.+)$/.exec(address)?.[1] ?? '');
      const user = { use: () => false, renew: () => this.#reopen() };
      return on ? keepUp(on, user, `udp [${address}]:${port}`, notice) : () => {};
    }
    const { interface: on, sources } = membership;
    const user: InterfaceUser = {
      use: (current) =>
        this.#opened !== undefined && join(this.#opened.socket, address, family, sources, current),
      lose: (last) => this.#opened && leave(this.#opened.socket, address, family, last),
      renew: (current) => this.#reopen({ interface: current, sources }),
    };
    return keepUp(on, user, `group ${address}:${port}`, notice);
  }

  /**
   * Opens a new socket on an interface that came back: a bind to a link-local address or group keeps the old
   * interface index, and with the same index, the old membership hides that the kernel dropped it.
   */
  async #reopen(membership?: Membership): Promise<void> {
    // Before the new socket joins: this decrements the interface's member count, also a new member's.
    await this.#close();
    const opened = await openSocket({
      ...this.options,
      port: this.local.port,
      ...(membership && { membership }),
    });
    if (this.#stopped) opened.socket.close();
    else this.#listen(opened);
  }

  /** Reads the datagrams that the kernel still holds, and closes. */
  async #close(): Promise<void> {
    // The kernel allows twice the granted size (socket(7)).
    await untilQuiet(() => this.#receivedMemory, 2 * (this.#opened?.receiveBuffer ?? 0));
    this.#droppedBefore = this.#kernelDropped;
    this.#opened?.socket.close();
    this.#opened = undefined;
  }

  #take(message: Buffer, from: RemoteInfo): void {
    this.#receivedMemory += message.length + DATAGRAM_MEMORY;
    if (this.#ignored.length > 0 && this.#isIgnored(from)) return;
    if (this.#allowed && !this.#allowed.hasAddress(plainAddress(from.address).replace(/%.*/, ''))) {
      this.#refused++;
      return;
    }
    if (this.#deliver) this.#deliverOne(message, from, this.#deliver);
    else this.#keepEarly(message, from);
  }

  /** Before run(), limits the memory to the kernel buffer's size: node:dgram reads regardless. */
  #keepEarly(message: Buffer, from: RemoteInfo): void {
    this.#earlyMemory += message.length + DATAGRAM_MEMORY;
    if (this.#earlyMemory <= this.receiveBuffer) this.#early.push([message, from]);
    else this.#dropped++;
  }

  #deliverOne(message: Buffer, from: RemoteInfo, deliver: Deliver): void {
    this.#moved.datagrams++;
    this.#moved.bytes += message.length;
    if (message.length === 0) {
      this.#moved.empty++;
      this.#emptyFrom = from;
    }
    this.#batch.reset(message);
    this.#batch.add(0, message.length);
    this.#unterminated ||= this.#batch.unterminated;
    if (this.#senders) this.#batch.from[0] = this.#senders.of(from);
    deliver(this.#batch);
  }

  #isIgnored({ address, port }: RemoteInfo): boolean {
    const plain = plainAddress(address).replace(/%.*/, '');
    return this.#ignored.some((own) => own.port === port && own.addresses.includes(plain));
  }
}

/** @returns false when the socket was already a member */
function join(
  socket: Socket,
  group: string,
  family: 4 | 6,
  sources: string[],
  current: NetInterface,
): boolean {
  const on = dgramInterface(family, current);
  const attempts = sources.length > 0 ? sources : [undefined];
  return attempts.map((source) => joinOnce(socket, group, source, on)).includes(true);
}

function joinOnce(socket: Socket, group: string, source: string | undefined, on: string): boolean {
  try {
    if (source === undefined) socket.addMembership(group, on);
    else socket.addSourceSpecificMembership(source, group, on);
    return true;
  } catch (error) {
    // Already a member (ip_mc_join_group and ip_mc_source, linux/net/ipv4/igmp.c).
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE' || (source !== undefined && code === 'EADDRNOTAVAIL')) return false;
    throw error;
  }
}

/**
 * Leaves a group, joined with or without sources, on an interface that is gone: a socket has at most 20
 * memberships (net.ipv4.igmp_max_memberships), including stale ones.
 */
function leave(socket: Socket, group: string, family: 4 | 6, last: NetInterface): void {
  try {
    socket.dropMembership(group, dgramInterface(family, last));
  } catch (error) {
    throwInternal(error);
    // The kernel dropped the membership with the interface.
  }
}
