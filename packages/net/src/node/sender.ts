import type { Socket } from 'node:dgram';
import type { SocketAddress } from 'mproxy-base';
import type { Batch } from 'mproxy-framing';
import type { SendCounts, Sender, SenderOptions } from '../datagrams.js';
import type { NetInterface } from '../interfaces.js';
import { keepUp } from '../upkeep.js';
import { bind, dgramInterface, localAddressOf, makeSocket, tuneBuffer } from './socket.js';
import { UnconnectedSocket } from './unconnected-socket.js';

/** Bytes that may wait in the process while the kernel takes no more. */
const QUEUE_LIMIT = 1024 * 1024;
/** How long what is queued has left when the program must stop. */
const GIVE_UP_MS = 100;
/** What a queued datagram costs beside its bytes. */
const OVERHEAD = 128;
const RECONNECT_MS = 1000;
const RETRY_MS = 1;
const NEWLINE = 0x0a;

/** The route, or the own address that the socket was connected from, is gone: connecting again may find another. */
const ROUTE_ERRORS = new Set([
  'ENETUNREACH',
  'EHOSTUNREACH',
  'EADDRNOTAVAIL',
  'EINVAL',
  'ENETDOWN',
  'ENODEV',
]);

export async function openSender(options: SenderOptions): Promise<Sender> {
  const { family, bind: own } = options;
  // Several destinations may be sent to from one port of ours.
  const socket = makeSocket(family, { reuseAddr: own !== undefined && own.port !== 0 });
  try {
    await bind(socket, own ?? { address: family === 4 ? '0.0.0.0' : '::', port: 0 });
    if (family === 4) socket.setBroadcast(true);
    const sender = new NodeSender(socket, options);
    if (sender.connects) await sender.connect();
    return sender;
  } catch (error) {
    socket.close();
    throw error;
  }
}

/**
 * One destination's socket. Datagrams go out one after another, the next when the kernel answered for the one
 * before: so their order stays even where one must be sent again, and a full kernel buffer is noticed.
 */
class NodeSender implements Sender {
  readonly counts: SendCounts = { datagrams: 0, bytes: 0, dropped: 0, errors: {}, returned: {} };
  readonly replies: SendCounts;
  readonly sendBuffer: number;
  readonly connects: boolean;
  #queue: Buffer[] = [];
  #head = 0;
  #queuedBytes = 0;
  #sending = false;
  #again = false;
  #connected = false;
  #lastConnect = 0;
  #closed = false;
  #progress: Promise<void> | undefined;
  #wakeAll: () => void = () => undefined;
  readonly #stopUpkeep: () => void = () => {};
  /** The socket's other use, where it hears. */
  readonly #unconnected: UnconnectedSocket;

  constructor(
    private readonly socket: Socket,
    private readonly options: SenderOptions,
  ) {
    const { family, multicast, broadcast, address, port, notice, onMessage } = options;
    const { sendBuffer, receiveBuffer } = options;
    this.connects = !multicast && !broadcast && !onMessage;
    this.#unconnected = new UnconnectedSocket(socket, family, onMessage);
    this.replies = this.#unconnected.counts;
    this.sendBuffer = tuneBuffer(socket, 'Send', sendBuffer);
    if (receiveBuffer !== undefined) tuneBuffer(socket, 'Recv', receiveBuffer);
    // What an earlier datagram brought back (ICMP) is told here when no send is there to tell it.
    socket.on('error', (error) => this.#count(error));
    if (multicast) {
      socket.setMulticastTTL(multicast.ttl);
      socket.setMulticastLoopback(multicast.loop);
      const user = { use: (current: NetInterface) => this.#leaveBy(current) };
      user.use(multicast.interface);
      this.#stopUpkeep = keepUp(multicast.interface, user, `group ${address}:${port}`, notice);
    }
  }

  get local(): SocketAddress {
    return localAddressOf(this.socket);
  }

  reply(bytes: Buffer, to: SocketAddress): void {
    this.#unconnected.send(bytes, to);
  }

  /** Connects, so that refusals are told; a destination that has no route now is connected when it has one. */
  connect(): Promise<void> {
    this.#lastConnect = performance.now();
    return new Promise((resolve) => {
      const connected = (error?: Error) => {
        this.#connected = !error;
        resolve();
      };
      this.socket.connect(this.options.port, this.options.address, connected);
    });
  }

  send(batch: Batch): void {
    batch.each((offset, length) => {
      const full = !this.options.waits && this.#queuedBytes + length > QUEUE_LIMIT;
      if (full || this.#closed) this.counts.dropped++;
      else this.#enqueue(batch.keep(offset, length));
    });
    this.#next();
  }

  room(): Promise<void> | undefined {
    if (this.#queuedBytes < QUEUE_LIMIT || this.#closed) return undefined;
    return this.#progressed();
  }

  async close(): Promise<void> {
    while (!this.#empty && !this.#closed) await this.#progressed();
    this.#stopUpkeep();
    this.#closed = true;
    this.#unconnected.close();
  }

  abortPending(): void {
    setTimeout(() => this.#giveUp(), GIVE_UP_MS).unref();
  }

  get #empty(): boolean {
    return this.#head === this.#queue.length && !this.#sending;
  }

  /** One promise for all who wait, however many ask. */
  #progressed(): Promise<void> {
    this.#progress ??= new Promise<void>((resolve) => {
      this.#wakeAll = resolve;
    });
    return this.#progress;
  }

  #enqueue(datagram: Buffer): void {
    this.#queue.push(datagram);
    this.#queuedBytes += datagram.length + OVERHEAD;
  }

  #next(): void {
    if (this.#sending) return;
    const datagram = this.#queue[this.#head];
    if (datagram === undefined) {
      this.#wake();
      return;
    }
    this.#sending = true;
    const done = (error: NodeJS.ErrnoException | null) => this.#answered(datagram, error);
    if (this.#connected) this.socket.send(datagram, done);
    else this.socket.send(datagram, this.options.port, this.options.address, done);
  }

  #answered(datagram: Buffer, error: NodeJS.ErrnoException | null): void {
    this.#sending = false;
    if (this.#closed) return;
    if (!error) {
      this.counts.datagrams++;
      this.counts.bytes += datagram.length;
      this.#take();
    } else this.#failed(datagram, error);
    if (this.#queuedBytes < QUEUE_LIMIT / 2) this.#wake();
    this.#next();
  }

  /** Decides what becomes of a datagram that the kernel did not take; unless taken, it is sent again. */
  #failed(datagram: Buffer, error: NodeJS.ErrnoException): void {
    if (error.code === 'ECONNREFUSED') {
      // The answer to an earlier datagram; this one was not sent at all (connected socket, udp(7)).
      this.#count(error);
      if (this.#again) this.#take();
      else this.#again = true;
      return;
    }
    const { waits, cutAfter = NEWLINE } = this.options;
    if (waits && error.code === 'ENOBUFS') this.#pause(RETRY_MS);
    else if (waits && cutAfter !== false && error.code === 'EMSGSIZE' && datagram.length > 1)
      this.#halve(datagram, cutAfter);
    else this.#lose(error);
  }

  #lose(error: NodeJS.ErrnoException): void {
    this.#count(error);
    this.#take();
    const mayReconnect = this.connects && ROUTE_ERRORS.has(error.code ?? '');
    if (mayReconnect && performance.now() - this.#lastConnect > RECONNECT_MS) void this.#reconnect();
  }

  /** The datagram in front is done with. */
  #take(): void {
    this.#queuedBytes -= this.#queue[this.#head]!.length + OVERHEAD;
    this.#again = false;
    this.#head++;
    if (this.#head < 1024 && this.#head < this.#queue.length) return;
    this.#queue = this.#queue.slice(this.#head);
    this.#head = 0;
  }

  /** Puts two smaller datagrams in place of one. */
  #halve(datagram: Buffer, cutAfter: number): void {
    const half = datagram.length >> 1;
    const cut = datagram.lastIndexOf(cutAfter, half - 1) + 1 || half;
    this.#queue.splice(this.#head, 1, datagram.subarray(0, cut), datagram.subarray(cut));
  }

  #pause(ms: number): void {
    this.#sending = true;
    setTimeout(() => {
      this.#sending = false;
      this.#next();
    }, ms);
  }

  async #reconnect(): Promise<void> {
    this.#sending = true;
    if (this.#connected) this.socket.disconnect();
    this.#connected = false;
    await this.connect();
    this.#sending = false;
    if (!this.#closed) this.#next();
  }

  #wake(): void {
    this.#progress = undefined;
    this.#wakeAll();
  }

  /** What the kernel has not taken is dropped. */
  #giveUp(): void {
    if (this.#closed) return;
    this.counts.dropped += this.#queue.length - this.#head;
    this.#queue = [];
    this.#head = 0;
    this.#queuedBytes = 0;
    this.#closed = true;
    this.#wake();
  }

  #leaveBy(current: NetInterface): boolean {
    this.socket.setMulticastInterface(dgramInterface(this.options.family, current));
    return false;
  }

  #count(error: NodeJS.ErrnoException): void {
    const name = error.code ?? error.message;
    this.counts.errors[name] = (this.counts.errors[name] ?? 0) + 1;
  }
}
