import type { SocketAddress } from 'mproxy-base';
import type { Batch } from 'mproxy-framing';
import type { NetInterface } from './interfaces.js';

/**
 * The contract of an engine: everything that the rest of mproxy knows of datagram sockets. Plain data goes in, so
 * that an engine may pass it to a thread of its own; batches come out.
 */
export interface Engine {
  readonly name: EngineName;
  /** Whether a receiver can keep out groups that others joined, and its own group from another interface. */
  readonly exactGroups: boolean;
  readonly setsTos: boolean;
  /** Whether a sender is done with a batch's bytes when its `send` returns. */
  readonly sendsAtOnce: boolean;
  openReceiver(options: ReceiverOptions): Promise<Receiver>;
  openSender(options: SenderOptions): Promise<Sender>;
  /** Opens a socket on a port of its own that any address is written to, and heard from, a datagram at a time. */
  openRequestSocket(options: RequestSocketOptions): Promise<RequestSocket>;
  /**
   * Sets a terminal raw: what is read is what was sent, byte for byte, 8 bits without parity, and nothing is echoed.
   * @param baud its speed in both directions; default as it is
   * @returns gives it back the mode that it had
   * @throws the system's error, or one that says why the speed cannot be set
   */
  makeRaw(fd: number, baud?: number): () => void;
  /** Makes a descriptor another name of what `from` is open on, at once for all threads; where there are any. */
  redirect?(from: number, to: number): void;
  /** Makes the pages of memory that was never written to, cheaper than by a fault for each; where that can be had. */
  populate?(memory: Buffer): void;
}

export type EngineName = 'linux' | 'node';

/**
 * Takes a datagram that came to a sender's own port, or to a request socket. The bytes are its own to keep; equal senders
 * in a row are one object.
 */
export type OnMessage = (bytes: Buffer, from: SocketAddress) => void;

/** A group joined on an interface, from anyone or from these sources alone (RFC 4607). */
export interface Membership {
  interface: NetInterface;
  sources: string[];
}

/** The addresses that begin with the first `prefix` bits of this one; no zone. */
export interface Network {
  address: string;
  prefix: number;
}

export interface ReceiverOptions extends SocketAddress {
  family: 4 | 6;
  /** `[::]` without IPv4. */
  ipv6Only?: boolean;
  /** Given: `address` is a group to join. Its port is then shared with other receivers. */
  membership?: Membership;
  /** SO_RCVBUF to ask for, in bytes. */
  receiveBuffer: number;
  /** Fills {@link Batch.from} of what is delivered on the event loop. */
  tellsSenders?: boolean;
  /** Given, not empty: datagrams whose sender is in none of these are dropped. IPv4-mapped senders match as IPv4. */
  allow?: Network[];
  notice: (text: string) => void;
}

/** Takes a batch; a promise tells a source that can wait when the sinks are ready for more. */
export type Deliver = (batch: Batch) => Promise<void> | undefined;

/** A socket that a receiving thread sends on, by its descriptor. */
export interface SocketTarget {
  fd: number;
  waits: boolean;
  /** The destination, where the socket is not connected. */
  name?: Uint8Array;
  counts: SharedArrayBuffer;
}

/** A file that a receiving thread writes to, by its descriptor. */
export interface FileTarget {
  fd: number;
  /** A datagram that does not end with a newline gets one. */
  endsLines: boolean;
  counts: SharedArrayBuffer;
  /**
   * What all threads that write to the file share: its size and limit, and whether the event loop has yet to write
   * what they handed over.
   */
  lock: SharedArrayBuffer;
}

/** What a thread could not write to a file itself, or may not, for the event loop to keep and to try again. */
export interface HandedOver {
  bytes: Uint8Array;
  /** Where in the bytes each datagram ends. */
  ends: number[];
  /** Whether the file has the beginning of the first one. */
  begun: boolean;
  /** Its place among all that the file's threads handed over. */
  ticket: number;
}

/** What a receiver that has a thread of its own writes to from there, with no hop between. */
export interface ThreadSinks {
  sockets: SocketTarget[];
  files: { target: FileTarget; handOver: (piece: HandedOver) => void }[];
}

export interface ReceiveCounts {
  datagrams: number;
  bytes: number;
  /** Those of the datagrams that had no bytes. */
  empty: number;
  /** Dropped by the kernel for want of buffer; undefined where the platform does not tell. */
  kernelDropped: number | undefined;
  /** Dropped between a receiving thread and the event loop, or before {@link Receiver.run} for want of room. */
  dropped: number;
  /** Datagrams dropped because {@link ReceiverOptions.allow} does not have their sender; in no other counter. */
  refused: number;
}

export interface Receiver {
  /** Where it is bound, the port the system picked with it. */
  readonly local: SocketAddress;
  /** The receive buffer that the kernel granted, in bytes; socket(7) reports twice of it. */
  readonly receiveBuffer: number;
  readonly counts: ReceiveCounts;
  /** The sender of the last empty datagram. */
  readonly emptyFrom: SocketAddress | undefined;
  /** Whether a datagram came that did not end with a newline. Of a batch one is looked at. */
  readonly unterminated: boolean;
  /** Whether it receives in a thread of its own, which can take sinks over. */
  readonly threaded: boolean;
  /**
   * Delivers until {@link stop}, and then what the kernel still holds.
   * @param deliver takes what is for the event loop; undefined when nothing is
   * @param sinks what its thread writes to; only for a threaded one
   */
  run(deliver: Deliver | undefined, sinks?: ThreadSinks): Promise<void>;
  stop(): void;
  /** Before {@link run}: do not deliver datagrams from these, a command's own come back through its group. */
  ignore(from: OwnSender): void;
}

/** A sending socket of this process: its port, and the addresses its datagrams may carry. */
export interface OwnSender {
  addresses: string[];
  port: number;
}

export interface SenderOptions extends SocketAddress {
  family: 4 | 6;
  /** Given: `address` is a group. */
  multicast?: { interface: NetInterface; ttl: number; loop: boolean };
  /** A broadcast address: it can have no connected socket that tells what refused. */
  broadcast: boolean;
  bind?: SocketAddress;
  /** The DSCP/TOS byte (RFC 2474), IPv6's traffic class. Only where {@link Engine.setsTos}. */
  tos?: number;
  /** SO_SNDBUF to ask for, in bytes. */
  sendBuffer: number;
  /** A stream waits for room; a relay drops, and counts. */
  waits: boolean;
  /**
   * Of a stream: the byte after which a datagram that is too large for the kernel (EMSGSIZE) is cut in two, where its
   * first half has one; false: such a datagram is counted. Default: newline.
   */
  cutAfter?: number | false;
  /**
   * Takes what comes to the sender's own port, until it is closed. Given: the socket is never connected, so that
   * anybody is heard.
   */
  onMessage?: OnMessage;
  /** SO_RCVBUF to ask for where it hears, in bytes; default the system's. */
  receiveBuffer?: number;
  notice: (text: string) => void;
}

/** What became of the datagrams given to a sender; the kernel took `datagrams` of `bytes` in all. */
export interface SendCounts {
  datagrams: number;
  bytes: number;
  /** Datagrams dropped for want of room. */
  dropped: number;
  /**
   * Errors by name (`ECONNREFUSED`, `ENETUNREACH`, ...). All but ECONNREFUSED and those that were `returned` cost the
   * datagram.
   */
  errors: Record<string, number>;
  /**
   * Those of `errors` that the network returned later for datagrams that the kernel took, by name and destination
   * (`EHOSTUNREACH 10.0.0.9:9920`), or as `NAME others` beyond 64 of these. Empty on an engine that cannot read them.
   */
  returned: Record<string, number>;
}

export interface Sender {
  readonly local: SocketAddress;
  readonly sendBuffer: number;
  readonly counts: SendCounts;
  /** How a receiving thread sends on this socket; undefined where the engine has none, and where the sender hears. */
  readonly target?: SocketTarget;
  send(batch: Batch): void;
  /**
   * Sends one datagram to another address from the same socket, past whatever waits. Only of a sender that hears.
   * Never waits: what the kernel has no room for is dropped. The bytes are free again when it returns.
   */
  reply(bytes: Buffer, to: SocketAddress): void;
  /** What became of the replies, none of which are in {@link counts}. */
  readonly replies: SendCounts;
  /** Undefined while there is room; else resolves when there is. */
  room(): Promise<void> | undefined;
  /** Sends to another address from now on, where the engine can on the same socket. @returns whether it does */
  redirect?(family: 4 | 6, to: SocketAddress): boolean;
  /** From now on nobody waits for room; what the kernel does not take at once is dropped, and counted. */
  abortPending(): void;
  /** Sends what still waits, and closes. Called once. */
  close(): Promise<void>;
}

export interface RequestSocketOptions {
  family: 4 | 6;
  bind?: SocketAddress;
  /** SO_RCVBUF to ask for, in bytes. */
  receiveBuffer: number;
  onMessage: OnMessage;
}

/** An unconnected socket for questions and the answers to them. It keeps the process alive until it is closed. */
export interface RequestSocket {
  readonly local: SocketAddress;
  /** The receive buffer that the kernel granted, in bytes. */
  readonly receiveBuffer: number;
  /** What became of the datagrams that were sent. */
  readonly counts: SendCounts;
  /** Never waits: what the kernel has no room for is dropped. The bytes are free again when it returns. */
  send(bytes: Buffer, to: SocketAddress): void;
  /** Nothing is heard or sent from now on. */
  close(): void;
}
