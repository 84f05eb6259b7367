import type { RemoteInfo, Socket } from 'node:dgram';
import { Batch } from '../batch.js';
import type { Deliver, Endpoint, Membership, OwnSender, Receiver, ReceiverOptions } from '../contract.js';
import type { NetInterface } from '../interfaces.js';
import { untilQuiet } from '../quiet.js';
import { KernelDrops } from './drops.js';
import { bind, localEndpoint, makeSocket, plainAddress, tuneBuffer } from './socket.js';
import { dgramInterface, keepUp } from './upkeep.js';

export async function openReceiver(options: ReceiverOptions): Promise<Receiver> {
  const { family, membership } = options;
  const socket = makeSocket(family, {
    reuseAddr: membership !== undefined,
    ipv6Only: options.ipv6Only ?? false,
  });
  try {
    const drops = new KernelDrops(family);
    await bind(socket, membership ? groupEndpoint(options, membership) : options);
    drops.attach(localEndpoint(socket));
    return new NodeReceiver(socket, options, drops);
  } catch (error) {
    socket.close();
    throw error;
  }
}

/**
 * Bound to the group itself, a socket gets no other group of its port. Windows binds to own addresses only; a
 * link-local group needs its zone.
 */
function groupEndpoint({ address, port, family }: ReceiverOptions, { interface: on }: Membership): Endpoint {
  if (process.platform === 'win32') return { address: family === 4 ? '0.0.0.0' : '::', port };
  return { address: family === 6 ? `${address}%${on.name}` : address, port };
}

class NodeReceiver implements Receiver {
  readonly local: Endpoint;
  readonly receiveBuffer: number;
  readonly #batch = new Batch();
  readonly #ignored: OwnSender[] = [];
  #deliver: Deliver | undefined;
  /** What came between the bind and the run. */
  #early: Buffer[] = [];
  #heard = 0;
  #ended!: () => void;
  readonly #end = new Promise<void>((resolve) => {
    this.#ended = resolve;
  });
  readonly #stopUpkeep: () => void = () => {};

  constructor(
    private readonly socket: Socket,
    { address, port, family, membership, receiveBuffer, notice }: ReceiverOptions,
    private readonly drops: KernelDrops,
  ) {
    this.local = localEndpoint(socket);
    this.receiveBuffer = tuneBuffer(socket, 'Recv', receiveBuffer);
    socket.on('error', (error) => notice(`udp ${this.local.address}:${this.local.port}: ${error.message}`));
    if (membership) {
      const group = {
        use: (current: NetInterface) => join(socket, address, family, membership.sources, current),
        lose: (last: NetInterface) => leave(socket, address, family, membership.sources, last),
      };
      group.use(membership.interface);
      this.#stopUpkeep = keepUp(membership.interface, group, `group ${address}:${port}`, notice);
    }
    socket.on('message', (message, from) => this.#take(message, from));
  }

  run(deliver: Deliver): Promise<void> {
    this.#deliver = deliver;
    for (const message of this.#early) this.#pass(message, deliver);
    this.#early = [];
    return this.#end;
  }

  stop(): void {
    this.#stopUpkeep();
    void untilQuiet(() => this.#heard).then(() => {
      this.drops.read();
      this.socket.close();
      this.#ended();
    });
  }

  ignore(from: OwnSender): void {
    this.#ignored.push(from);
  }

  dropped(): number | undefined {
    return this.drops.read();
  }

  #take(message: Buffer, from: RemoteInfo): void {
    this.#heard++;
    if (this.#ignored.length > 0 && this.#isIgnored(from)) return;
    if (this.#deliver) this.#pass(message, this.#deliver);
    else this.#early.push(message);
  }

  #pass(message: Buffer, deliver: Deliver): void {
    this.#batch.reset(message);
    this.#batch.add(0, message.length);
    deliver(this.#batch);
  }

  #isIgnored({ address, port }: RemoteInfo): boolean {
    const plain = plainAddress(address).replace(/%.*/, '');
    return this.#ignored.some((own) => own.port === port && own.addresses.includes(plain));
  }
}

/** Joins; @returns false when the socket was a member already. */
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
    // ip_mc_join_group and ip_mc_source (linux/net/ipv4/igmp.c) answer so for what is joined already.
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE' || (source !== undefined && code === 'EADDRNOTAVAIL')) return false;
    throw error;
  }
}

/** Leaves a group on an interface that is gone, so that it can be joined again on one of the same index. */
function leave(socket: Socket, group: string, family: 4 | 6, sources: string[], last: NetInterface): void {
  const on = dgramInterface(family, last);
  for (const source of sources.length > 0 ? sources : [undefined]) {
    try {
      if (source === undefined) socket.dropMembership(group, on);
      else socket.dropSourceSpecificMembership(source, group, on);
    } catch {
      // The kernel forgot the membership together with the interface: that is what was wanted.
    }
  }
}
