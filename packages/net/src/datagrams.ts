import type { SocketAddress } from 'mproxy-base';
import type { Batch } from 'mproxy-framing';
import type { ThreadClients } from './fanout/thread-clients.js';
import type { NetInterface } from './interfaces.js';
import type { Streams } from './streams.js';

/** The interface to sockets. Arguments are plain data, which an engine may pass to a thread. */
export interface Engine {
  readonly name: EngineName;
  readonly streams: Streams;
  /** Whether a receiver can filter out groups joined by others, and its own group on other interfaces. */
  readonly exactGroups: boolean;
  readonly setsTos: boolean;
  /** Whether the bytes of a batch may be reused as soon as `send` returns. */
  readonly sendsAtOnce: boolean;
  openReceiver(options: ReceiverOptions): Promise<Receiver>;
  openSender(options: SenderOptions): Promise<Sender>;
  /** Opens an unconnected socket on its own port, which sends to and receives from any address. */
  openRequestSocket(options: RequestSocketOptions): Promise<RequestSocket>;
  /**
   * Sets a terminal to raw mode: bytes pass unchanged, 8 bits without parity, no echo.
   * @param baud speed in both directions; default unchanged
   * @returns a function that restores the previous mode
   * @throws the system's error, or one that says why the speed cannot be set
   */
  makeRaw(fd: number, baud?: number): () => void;
  /** Makes `to` a duplicate of `from`, atomically for all threads (dup2(2)); only on some engines. */
  redirect?(from: number, to: number): void;
  /** Allocates the pages of unused memory, cheaper than one page fault each. Only where supported. */
  populate?(memory: Buffer): void;
}

export type EngineName = 'linux' | 'node';

/**
 * Takes a datagram received on a sender's port or on a request socket. It may keep the bytes. Consecutive
 * datagrams of one sender share one `from` object.
 */
export type OnMessage = (bytes: Buffer, from: SocketAddress) => void;

/** A group joined on an interface, from any source or only from these (RFC 4607). */
export interface Membership {
  interface: NetInterface;
  sources: string[];
}

/** The addresses that share the first `prefix` bits of `address`, which has no zone. */
export interface Network {
  address: string;
  prefix: number;
}

export interface ReceiverOptions extends SocketAddress {
  family: 4 | 6;
  /** `[::]` does not receive IPv4. */
  ipv6Only?: boolean;
  /** If given, `address` is a group to join. Its port is then shared with other receivers. */
  membership?: Membership;
  /** SO_RCVBUF to request, in bytes. */
  receiveBuffer: number;
  /** Fill {@link Batch.from} of batches delivered on the event loop. */
  tellsSenders?: boolean;
  /** If given, not empty: datagrams from other senders are dropped. IPv4-mapped senders match as IPv4. */
  allow?: Network[];
  notice: (text: string) => void;
  /** Called when a thread failed that received from this socket, and another goes on with it; once for all its sockets with the same function. */
  threadFailed?: (failure: ThreadFailure) => void;
}

export interface ThreadFailure {
  /** In one line; that of a mistake in the thread with its stack. */
  reason: string;
  /** Sockets that the thread received from. Datagrams that it held are lost. */
  sockets: number;
  /** Clients of TCP listeners that lived in the thread: they were disconnected. */
  clients: number;
}

/** Takes a batch. A promise resolves when the sinks are ready for more, for sources that can wait. */
export type Deliver = (batch: Batch) => Promise<void> | undefined;

/** A socket, by its descriptor, that a receiving thread sends on. */
export interface SocketTarget {
  fd: number;
  waits: boolean;
  /** The destination, if the socket is not connected. */
  name?: Uint8Array;
  counts: SharedArrayBuffer;
}

/** A file, by its descriptor, that a receiving thread writes to. */
export interface FileTarget {
  /** Among the targets of the file, from 1 on. */
  number: number;
  fd: number;
  /** Whether a newline is added to a datagram that does not end with one. */
  endsLines: boolean;
  counts: SharedArrayBuffer;
  /** Shared by all threads that write to the file: size, limit, and whether handed-over data is unwritten. */
  lock: SharedArrayBuffer;
}

/** Data that a thread could not or may not write to a file. The event loop queues and retries it. */
export interface HandedOver {
  bytes: Uint8Array;
  /** The end of each datagram in `bytes`. */
  ends: number[];
  /** Whether the beginning of the first datagram is in the file already. */
  begun: boolean;
  /** Its position in the order of all data that the threads of the file handed over. */
  ticket: number;
}

/** A file that a thread writes to, and what concerns it on the event loop. */
export interface ThreadFileSink {
  target: FileTarget;
  handOver: (piece: HandedOver) => void;
  /** The thread failed. Another one writes from now on. */
  threadFailed: () => void;
}

/** Sinks that a receiver with its own thread writes to directly from there. */
export interface ThreadSinks {
  sockets: SocketTarget[];
  files: ThreadFileSink[];
  /** Clients of TCP listeners. They live in the thread's loop, and stay there when the receiver has ended, until they are closed. */
  clients: ThreadClients[];
}

export interface ReceiveCounts {
  datagrams: number;
  bytes: number;
  /** Datagrams without payload, which are also in `datagrams`. */
  empty: number;
  /** Dropped by the kernel at a full receive buffer; undefined if the platform does not report it. */
  kernelDropped: number | undefined;
  /** Dropped at a full buffer: between a thread and the event loop, or before {@link Receiver.run}. */
  dropped: number;
  /** Datagrams dropped because {@link ReceiverOptions.allow} lacks their sender; in no other counter. */
  refused: number;
}

export interface Receiver {
  /** The bound address, with the port that the system picked. */
  readonly local: SocketAddress;
  /** The receive buffer that the kernel granted, in bytes; SO_RCVBUF reads as twice that (socket(7)). */
  readonly receiveBuffer: number;
  readonly counts: ReceiveCounts;
  /** The sender of the last empty datagram. */
  readonly emptyFrom: SocketAddress | undefined;
  /** Whether a datagram without a final newline was received. One datagram of each batch is checked. */
  readonly unterminated: boolean;
  /** Whether it receives in its own thread, which can write to sinks itself. */
  readonly threaded: boolean;
  /**
   * Delivers datagrams until {@link stop}, then those that the kernel still holds.
   * @param deliver takes batches on the event loop; undefined if no sink needs it
   * @param sinks written to by its thread; only for a threaded receiver
   */
  run(deliver: Deliver | undefined, sinks?: ThreadSinks): Promise<void>;
  stop(): void;
  /** Before {@link run}: drop datagrams of this sender, as a command's own, looped back by its group. */
  ignore(from: OwnSender): void;
}

/** A sending socket of this process: its port, and the source addresses that its datagrams may have. */
export interface OwnSender {
  addresses: string[];
  port: number;
}

export interface SenderOptions extends SocketAddress {
  family: 4 | 6;
  /** If given, `address` is a group. */
  multicast?: { interface: NetInterface; ttl: number; loop: boolean };
  /** Whether `address` is a broadcast address: its socket is not connected, and refusals are not reported. */
  broadcast: boolean;
  bind?: SocketAddress;
  /** The DSCP/TOS byte (RFC 2474) or IPv6 traffic class. Only with {@link Engine.setsTos}. */
  tos?: number;
  /** SO_SNDBUF to request, in bytes. */
  sendBuffer: number;
  /** At a full send buffer: whether to wait, for a stream, or to drop and count, for a relay. */
  waits: boolean;
  /**
   * For a stream: a datagram that is too large for the kernel (EMSGSIZE) is split after the last such byte in
   * its first half, else in the middle; false: it is dropped and counted. Default: newline.
   */
  cutAfter?: number | false;
  /** Takes datagrams received on the sender's port, until closed. If given, the socket is not connected. */
  onMessage?: OnMessage;
  /** SO_RCVBUF to request if `onMessage` is given, in bytes; default the system's. */
  receiveBuffer?: number;
  notice: (text: string) => void;
}

/** Counters of a sender. The kernel accepted `datagrams`, of `bytes` in total. */
export interface SendCounts {
  datagrams: number;
  bytes: number;
  /** Datagrams dropped because a buffer was full. */
  dropped: number;
  /**
   * Errors by name (`ECONNREFUSED`, `ENETUNREACH`, ...). Each is a lost datagram, except ECONNREFUSED and
   * those in `returned`.
   */
  errors: Record<string, number>;
  /**
   * Errors that the network reported later, for datagrams that the kernel accepted, by name and destination
   * (`EHOSTUNREACH 10.0.0.9:9920`) or, beyond 64 of these, as `NAME others`; included in `errors`. Empty if
   * the engine cannot read them.
   */
  returned: Record<string, number>;
}

export interface Sender {
  readonly local: SocketAddress;
  readonly sendBuffer: number;
  readonly counts: SendCounts;
  /** For sending from a receiving thread; undefined on an engine without threads, and with `onMessage`. */
  readonly target?: SocketTarget;
  send(batch: Batch): void;
  /**
   * Sends one datagram to another address from the same socket, ahead of queued data. Only with `onMessage`.
   * Never waits: with the kernel's buffer full, it is dropped. The bytes may be reused on return.
   */
  reply(bytes: Buffer, to: SocketAddress): void;
  /** Counters of the replies, which are not in {@link counts}. */
  readonly replies: SendCounts;
  /** Undefined while there is room; otherwise resolves when there is. */
  room(): Promise<void> | undefined;
  /** Changes the destination, if the engine can on the same socket. @returns whether it did */
  redirect?(family: 4 | 6, to: SocketAddress): boolean;
  /** Stops waiting for room: datagrams that the kernel does not accept at once are dropped and counted. */
  abortPending(): void;
  /** Sends queued data, and closes. Called once. */
  close(): Promise<void>;
}

export interface RequestSocketOptions {
  family: 4 | 6;
  bind?: SocketAddress;
  /** SO_RCVBUF to request, in bytes. */
  receiveBuffer: number;
  onMessage: OnMessage;
}

/** An unconnected socket for requests and their answers. It keeps the process alive until it is closed. */
export interface RequestSocket {
  readonly local: SocketAddress;
  /** The receive buffer that the kernel granted, in bytes. */
  readonly receiveBuffer: number;
  readonly counts: SendCounts;
  /** Never waits: with the kernel's buffer full, it is dropped. The bytes may be reused on return. */
  send(bytes: Buffer, to: SocketAddress): void;
  /** Nothing is received or sent from now on. */
  close(): void;
}
