import type { Socket } from 'node:dgram';
import type { SocketAddress } from 'mproxy-base';
import type { Batch } from 'mproxy-framing';
import type { SendCounts, Sender, SenderOptions } from '../datagrams.js';
import type { NetInterface } from '../interfaces.js';
import { keepUp } from '../upkeep.js';
import { bind, dgramInterface, localAddressOf, makeSocket, tuneBuffer } from './socket.js';
import { UnconnectedSocket } from './unconnected-socket.js';

/** Limit of bytes queued in the process while the kernel's buffer is full. */
const QUEUE_LIMIT = 1024 * 1024;
/** How long a stopping program keeps sending its queue, in milliseconds. */
const ABORT_MS = 100;
/** Bytes counted for a queued datagram beside its data. */
const OVERHEAD = 128;
const RECONNECT_MS = 1000;
const RETRY_MS = 1;
const NEWLINE = 0x0a;

/** The route or the socket's local address is gone: connecting again may find another. */
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
  // Several senders may share a local port.
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
 * One destination's socket. Each send waits until the previous one has completed: order is kept even when a
 * datagram is sent again, and a full kernel buffer is noticed.
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
  #retried = false;
  #connected = false;
  #lastConnect = 0;
  #closed = false;
  #progress: Promise<void> | undefined;
  #wakeAll: () => void = () => undefined;
  readonly #stopUpkeep: () => void = () => {};
  /** Receives, and sends replies, if onMessage is given. */
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
    // ICMP errors of earlier datagrams are reported here when no send can report them.
    socket.on('error', (error) => this.#count(error));
    if (multicast) {
      socket.setMulticastTTL(multicast.ttl);
      socket.setMulticastLoopback(multicast.loop);
      const user = { use: (current: NetInterface) => this.#setInterface(current) };
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

  /** Connects, so that refusals are reported. Without a route, a later failed send tries again. */
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
    this.#sendNext();
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
    setTimeout(() => this.#dropQueue(), ABORT_MS).unref();
  }

  get #empty(): boolean {
    return this.#head === this.#queue.length && !this.#sending;
  }

  /** All callers share one promise. */
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

  #sendNext(): void {
    if (this.#sending) return;
    const datagram = this.#queue[this.#head];
    if (datagram === undefined) {
      this.#wake();
      return;
    }
    this.#sending = true;
    const done = (error: NodeJS.ErrnoException | null) => this.#sendCompleted(datagram, error);
    if (this.#connected) this.socket.send(datagram, done);
    else this.socket.send(datagram, this.options.port, this.options.address, done);
  }

  #sendCompleted(datagram: Buffer, error: NodeJS.ErrnoException | null): void {
    this.#sending = false;
    if (this.#closed) return;
    if (!error) {
      this.counts.datagrams++;
      this.counts.bytes += datagram.length;
      this.#removeFirst();
    } else this.#failed(datagram, error);
    if (this.#queuedBytes < QUEUE_LIMIT / 2) this.#wake();
    this.#sendNext();
  }

  /** Handles a send error; unless it removes the datagram from the queue, that is sent again. */
  #failed(datagram: Buffer, error: NodeJS.ErrnoException): void {
    if (error.code === 'ECONNREFUSED') {
      // The ICMP error of an earlier datagram; this one was not sent (connected socket, udp(7)).
      this.#count(error);
      if (this.#retried) this.#removeFirst();
      else this.#retried = true;
      return;
    }
    const { waits, cutAfter = NEWLINE } = this.options;
    if (waits && error.code === 'ENOBUFS') this.#pause(RETRY_MS);
    else if (waits && cutAfter !== false && error.code === 'EMSGSIZE' && datagram.length > 1)
      this.#halve(datagram, cutAfter);
    else this.#drop(error);
  }

  #drop(error: NodeJS.ErrnoException): void {
    this.#count(error);
    this.#removeFirst();
    const mayReconnect = this.connects && ROUTE_ERRORS.has(error.code ?? '');
    if (mayReconnect && performance.now() - this.#lastConnect > RECONNECT_MS) void this.#reconnect();
  }

  #removeFirst(): void {
    this.#queuedBytes -= this.#queue[this.#head]!.length + OVERHEAD;
    this.#retried = false;
    this.#head++;
    if (this.#head < 1024 && this.#head < this.#queue.length) return;
    this.#queue = this.#queue.slice(this.#head);
    this.#head = 0;
  }

  /** Replaces the first datagram by two smaller ones. */
  #halve(datagram: Buffer, cutAfter: number): void {
    const half = datagram.length >> 1;
    const cut = datagram.lastIndexOf(cutAfter, half - 1) + 1 || half;
    this.#queue.splice(this.#head, 1, datagram.subarray(0, cut), datagram.subarray(cut));
  }

  #pause(ms: number): void {
    this.#sending = true;
    setTimeout(() => {
      this.#sending = false;
      this.#sendNext();
    }, ms);
  }

  async #reconnect(): Promise<void> {
    this.#sending = true;
    if (this.#connected) this.socket.disconnect();
    this.#connected = false;
    await this.connect();
    this.#sending = false;
    if (!this.#closed) this.#sendNext();
  }

  #wake(): void {
    this.#progress = undefined;
    this.#wakeAll();
  }

  #dropQueue(): void {
    if (this.#closed) return;
    this.counts.dropped += this.#queue.length - this.#head;
    this.#queue = [];
    this.#head = 0;
    this.#queuedBytes = 0;
    this.#closed = true;
    this.#wake();
  }

  #setInterface(current: NetInterface): boolean {
    this.socket.setMulticastInterface(dgramInterface(this.options.family, current));
    return false;
  }

  #count(error: NodeJS.ErrnoException): void {
    const name = error.code ?? error.message;
    this.counts.errors[name] = (this.counts.errors[name] ?? 0) + 1;
  }
}
