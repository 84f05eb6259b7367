import type { SocketAddress } from 'mproxy-base';
import { throwInternal } from 'mproxy-base';
import type { Batch } from 'mproxy-framing';
import type { SendCounts, Sender, SenderOptions, SocketTarget } from '../datagrams.js';
import { findInterface, type NetInterface } from '../interfaces.js';
import { keepUp } from '../upkeep.js';
import { BatchSender } from './batch-sender.js';
import { SharedCounts } from './counts.js';
import { ERRNO, systemError } from './errno.js';
import { ErrorQueue, keepErrors } from './error-queue.js';
import type { Libc } from './libc.js';
import { setOption, timeval, tuneBuffer } from './options.js';
import { Returns } from './returns.js';
import {
  bindSocket,
  connectSocket,
  endpointBytes,
  localPort,
  openSocket,
  outgoingInterface,
  reconnectSocket,
} from './socket.js';
import { UnconnectedSocket } from './unconnected-socket.js';

/** SO_SNDTIMEO of a thread's send on a full buffer, and the event loop's retry interval, in milliseconds. */
const SEND_MS = 50;
const RETRY_MS = 5;
const RECONNECT_MS = 1000;
/** The route or the local address is gone. */
const ROUTE_ERRORS = [
  ERRNO.ENETUNREACH,
  ERRNO.EHOSTUNREACH,
  ERRNO.EADDRNOTAVAIL,
  ERRNO.EINVAL,
  ERRNO.ENETDOWN,
  ERRNO.ENODEV,
];

const NO_REPLIES: SendCounts = { datagrams: 0, bytes: 0, dropped: 0, errors: {}, returned: {} };

export function openSender(libc: Libc, options: SenderOptions): LinuxSender {
  const fd = openSocket(libc, options.family);
  try {
    return new LinuxSender(libc, fd, options);
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

/** One destination's socket. */
export class LinuxSender implements Sender {
  readonly local: SocketAddress;
  readonly sendBuffer: number;
  /** How a thread sends on this socket; undefined when it also receives, as it is then non-blocking. */
  readonly target?: SocketTarget;
  readonly #counts = new SharedCounts();
  readonly #batchSender: BatchSender;
  readonly #connected: boolean;
  readonly #unconnected: UnconnectedSocket | undefined;
  /** The destination as {@link BatchSender} reads it, for a socket that receives and so is unconnected. */
  readonly #name: Buffer | undefined;
  #to: SocketAddress;
  readonly #returns = new Returns();
  /** Errors returned for replies. */
  readonly #replyReturns = new Returns();
  readonly #queue: ErrorQueue;
  #closed = false;
  #aborted = false;
  #waiting: Promise<void> | undefined;
  readonly #stopUpkeep: () => void = () => {};

  constructor(
    private readonly libc: Libc,
    private readonly fd: number,
    private readonly options: SenderOptions,
  ) {
    const { family, address, port, multicast, broadcast, bind, tos, waits, onMessage, notice } = options;
    const { receiveBuffer } = options;
    setOption(libc, fd, 'SO_SNDTIMEO', timeval(SEND_MS));
    keepErrors(libc, fd, family);
    this.#queue = new ErrorQueue(libc, fd, (errno, to) => this.#returned(errno, to));
    const readErrors = () => this.#queue.read();
    if (family === 4) setOption(libc, fd, 'SO_BROADCAST', 1);
    if (tos !== undefined) setOption(libc, fd, family === 4 ? 'IP_TOS' : 'IPV6_TCLASS', tos);
    if (bind && bind.port !== 0) setOption(libc, fd, 'SO_REUSEADDR', 1);
    this.sendBuffer = tuneBuffer(libc, fd, 'SND', options.sendBuffer);
    if (receiveBuffer !== undefined) tuneBuffer(libc, fd, 'RCV', receiveBuffer);
    const any = { address: family === 4 ? '0.0.0.0' : '::', port: 0 };
    bindSocket(libc, fd, bind ?? any);
    if (multicast) this.#stopUpkeep = this.#sendToGroup(libc, options, notice);
    const connects = !multicast && !broadcast && !onMessage;
    const connected = connects && connectSocket(libc, fd, { address, port }) === 0;
    this.#to = { address, port };
    this.#connected = connected;
    if (connected || (onMessage && !multicast)) this.#stopUpkeep = this.#stayConnected(options);
    // A group without its zone, whose index may change; IPV6_MULTICAST_IF follows it (ipv6(7)).
    const destination = multicast ? address.replace(/%.*/, '') : address;
    const name = connected ? undefined : endpointBytes(libc, destination, port);
    this.local = { address: bind?.address ?? any.address, port: localPort(libc, fd) };
    const cuts = options.cutAfter === undefined ? {} : { cutAfter: options.cutAfter };
    this.#batchSender = new BatchSender(libc, fd, this.#counts, {
      waits,
      ...cuts,
      readErrors,
      ...(name && { name }),
    });
    if (onMessage) {
      if (!multicast) this.#name = name;
      // Last: it owns and closes the descriptor.
      this.#unconnected = new UnconnectedSocket(libc, fd, family, onMessage, readErrors);
    } else this.target = { fd, waits, ...(name && { name }), counts: this.#counts.buffer };
  }

  get counts(): SendCounts {
    this.#collect();
    return this.#returns.into(this.#counts.read());
  }

  /** Counts the errors returned so far, including those that a sending thread read. */
  #collect(): void {
    if (!this.#closed) this.#queue.read();
    this.#returns.collect(this.#counts, this.#to);
  }

  get replies(): SendCounts {
    if (!this.#unconnected) return NO_REPLIES;
    this.#collect();
    return this.#replyReturns.into(this.#unconnected.counts);
  }

  /** Replies leave from the same socket; their errors have another address than the destination. */
  #returned(errno: number, to: SocketAddress): void {
    const { address, port } = this.#to;
    const reply = this.#unconnected && (to.address !== address || to.port !== port);
    (reply ? this.#replyReturns : this.#returns).add(errno, to);
  }

  reply(bytes: Buffer, to: SocketAddress): void {
    if (!this.#unconnected) throw new Error('a sender that does not hear has nobody to reply to');
    this.#unconnected.send(bytes, to);
  }

  redirect(family: 4 | 6, to: SocketAddress): boolean {
    if (!(this.#connected || this.#name) || family !== this.options.family) return false;
    this.#collect();
    this.#to = to;
    return this.#setDestination(to) === 0;
  }

  /** @returns 0, or the errno */
  #setDestination(to: SocketAddress): number {
    if (!this.#name) return reconnectSocket(this.libc, this.fd, to);
    endpointBytes(this.libc, to.address, to.port).copy(this.#name);
    return 0;
  }

  send(batch: Batch): void {
    if (this.#closed) this.#counts.dropped += batch.datagrams;
    else this.#batchSender.send(batch);
    if (!this.options.waits) this.#drained();
  }

  /** A relay never waits: its unsent datagrams are retried in the background. */
  room(): Promise<void> | undefined {
    return this.options.waits ? this.#drained() : undefined;
  }

  /** Undefined when nothing is unsent; else resolves when nothing is, or on {@link abortPending}. */
  #drained(): Promise<void> | undefined {
    if (this.#batchSender.left.length === 0 || this.#aborted) return undefined;
    // All callers share one promise.
    this.#waiting ??= this.#retry();
    return this.#waiting;
  }

  async #retry(): Promise<void> {
    while (this.#batchSender.left.length > 0 && !this.#aborted) {
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      this.#batchSender.retry();
    }
    this.#waiting = undefined;
  }

  abortPending(): void {
    this.#aborted = true;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    await this.#drained();
    this.#batchSender.finish();
    this.#stopUpkeep();
    this.#collect();
    this.#closed = true;
    if (this.#unconnected) this.#unconnected.close();
    else this.libc.close(this.fd);
  }

  /**
   * Reconnects when the interface index of a link-local destination changes, and when sends fail because the
   * route or the socket's local address is gone.
   */
  #stayConnected({ address, port, notice }: SenderOptions): () => void {
    const on = findInterface(/%(.+)$/.exec(address)?.[1] ?? '');
    const renew = async () => {
      const errno = this.#setDestination({ address, port });
      if (errno !== 0) throw systemError(errno, 'connect');
    };
    if (on) return keepUp(on, { use: () => false, renew }, `udp [${address}]:${port}`, notice);
    if (!this.#connected) return () => {};
    let seen = 0;
    const timer = setInterval(() => {
      const failed = this.#counts.failures(ROUTE_ERRORS);
      if (failed === seen) return;
      seen = failed;
      try {
        reconnectSocket(this.libc, this.fd, this.#to);
      } catch (error) {
        throwInternal(error);
        // The zone's interface is gone: sends fail, and further failures trigger a retry.
      }
    }, RECONNECT_MS);
    timer.unref();
    return () => clearInterval(timer);
  }

  #sendToGroup(
    libc: Libc,
    { family, address, port, multicast }: SenderOptions,
    notice: (text: string) => void,
  ) {
    const { fd } = this;
    const { interface: on, ttl, loop } = multicast!;
    setOption(libc, fd, family === 4 ? 'IP_MULTICAST_TTL' : 'IPV6_MULTICAST_HOPS', ttl);
    setOption(libc, fd, family === 4 ? 'IP_MULTICAST_LOOP' : 'IPV6_MULTICAST_LOOP', loop ? 1 : 0);
    const user = {
      use: (current: NetInterface) => {
        const option = family === 4 ? 'IP_MULTICAST_IF' : 'IPV6_MULTICAST_IF';
        setOption(libc, fd, option, outgoingInterface(libc, family, current));
        return false;
      },
    };
    user.use(on);
    return keepUp(on, user, `group ${address}:${port}`, notice);
  }
}
