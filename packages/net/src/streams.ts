import type { SocketAddress } from 'mproxy-base';
import type { ThreadLoads } from './thread-loads.js';

/**
 * The interface to stream sockets: TCP, TLS on TCP, and Unix sockets. It is completion-shaped: an engine delivers received
 * bytes and takes bytes to send, and reports what became of them. No callback is called from inside a call of the interface,
 * except `onAbort` listeners of a signal, and where it says so. An exception of a callback is a mistake of the program: it is never caught here.
 */
export interface Streams {
  /** Why Node's own sockets or TLS serve instead of those of the engine; undefined: they do not. */
  readonly instead?: string;
  /** @throws the system's error (bind(2), listen(2)) */
  listen(options: ListenOptions): Promise<StreamListener>;
  /**
   * Connects to one address; with TLS, until the handshake is finished and the server is verified.
   * @throws the system's error (connect(2)), that of TLS, ETIMEDOUT, or the signal's reason
   */
  connect(options: ConnectOptions): Promise<Connection>;
  /**
   * Opens a listening socket, which one thread owns and any number of threads listen on, by `{ fd, shared }`; undefined: the engine cannot.
   * @throws the system's error (bind(2), listen(2))
   */
  share?(options: ShareOptions): SharedSocket;
  /** A timer of the thread's sockets, which is not set yet. It does not keep the process going. */
  timer(onDue: () => void): StreamTimer;
}

/** A timer that can be set again and again, at little cost. */
export interface StreamTimer {
  /** Calls back once after this time, in milliseconds; a time that was set before is replaced. */
  set(ms: number): void;
  clear(): void;
}

/** Where a listener listens: an address, a Unix socket (unix(7)), or a socket that listens already (systemd.socket(5)). */
export type ListenAddress =
  | (SocketAddress & { ipv6Only?: boolean })
  | { path: string }
  | {
      fd: number;
      /**
       * Given if listeners of other threads have it, too (see {@link Streams.share}). Each accepts a few connections at a time, the one that
       * has most of them a millisecond after the others; none closes it.
       */
      shared?: ThreadLoads;
    };

/** Where a connection goes. An IPv6 address may have a zone: `fe80::1%eth0`. */
export type PeerAddress = SocketAddress | { path: string };

export interface ListenOptions {
  at: ListenAddress;
  /** Connections that wait to be accepted, at most (listen(2)). Default: 1024. */
  backlog?: number;
  /** Idle time before the first TCP keepalive probe (tcp(7), TCP_KEEPIDLE), in milliseconds. Default: 60,000. */
  keepAlive?: number;
  tls?: TlsServer;
  /** What each connection begins with, before its TLS handshake if it has one. Default: nothing. */
  preamble?: PreambleOptions;
  /**
   * Limit on preamble and TLS handshake together, in milliseconds; on the node engine, on each of them. Default: 10,000.
   */
  handshakeTimeout?: number;
  /** Accepts nothing before {@link StreamListener.accept}, on an engine that has it. Default: false. */
  held?: boolean;
  /**
   * Called for each accepted connection before its preamble and TLS handshake.
   * @param peer undefined: a Unix socket, or a peer that has left already
   * @param scarce the descriptor limit of this process, if the connection has one of the last; these are for files and names
   * @returns whether it may go on; else it is closed. A function: it may, and the function is called once, when its preamble and TLS
   * handshake have ended, in whatever way; before `onConnection` or `onHandshakeError`.
   */
  admit?(peer: SocketAddress | undefined, scarce: number | undefined): boolean | (() => void);
  /** Takes a connection, after its preamble and TLS handshake. Nothing else is read before {@link Connection.start}. */
  onConnection(connection: Connection): void;
  /** Preamble or TLS handshake of an admitted connection failed, or took too long; it is closed. */
  onHandshakeError?(error: Error, peer: SocketAddress | undefined): void;
  /** accept(2) failed; the listener goes on. */
  onAcceptError?(error: Error): void;
}

/** What a connection begins with, before TLS: the header of the PROXY protocol, in which a proxy tells whom it speaks for. */
export interface Preamble {
  /** Its bytes. */
  length: number;
  /** The addresses of the original connection; undefined: it tells none. */
  source: SocketAddress | undefined;
  destination: SocketAddress | undefined;
}

/** How a preamble is recognized. A connection that begins in another way, or ends before it is complete, is refused (EPROTO). */
export interface PreambleOptions {
  /** Bytes that it has at most, up to 64 KiB. */
  most: number;
  /**
   * @param bytes the first of the connection, up to `most`; borrowed
   * @returns `incomplete`: more bytes are needed
   */
  parse(bytes: Buffer): Preamble | 'incomplete' | 'invalid';
}

export type ShareOptions = Pick<ListenOptions, 'at' | 'backlog' | 'keepAlive'>;

/** A listening socket, as its owner has it. */
export interface SharedSocket {
  readonly fd: number;
  /** The bound address, with the port that the system picked; undefined: a Unix socket. */
  readonly local: SocketAddress | undefined;
  /**
   * The kernel completes no more connections than one that waits to be accepted: a client that comes now tries again, and finds the socket
   * closed or its successor. To be called before the threads accept what waits.
   */
  refuse(): void;
  /** Closes it, which resets those that wait. */
  close(): void;
}

/** Takes a connected descriptor. @param peer undefined: a Unix socket, or a peer that has left already */
export type TakeDescriptor = (fd: number, peer: SocketAddress | undefined) => void;

export interface StreamListener {
  /** The bound address, with the port that the system picked; undefined: a Unix socket. */
  readonly local: SocketAddress | undefined;
  /** Admitted connections that are not closed, those in a handshake included. */
  readonly connections: number;
  /**
   * Uses other certificates for handshakes from now on.
   * @throws the error of OpenSSL, if a certificate or key is invalid; then nothing changes
   */
  secure(tls: Omit<TlsServer, 'alpn'>): void;
  /**
   * Begins to accept, with {@link ListenOptions.held}; undefined: the engine accepts at once.
   * @param take if given, takes the descriptors of admitted connections, instead of `onConnection`: non-blocking, nothing was read, no
   * TLS handshake has begun. They are its own, and not among {@link connections}. Those that wait already are admitted and given in
   * this call
   * @throws if it is given, and connections have a preamble
   */
  accept?(take?: TakeDescriptor): void;
  /** Accepts nothing until {@link resume}: connections wait in the backlog. Undefined: the engine cannot. */
  pause?(): void;
  resume?(): void;
  /**
   * Accepts no more connections. Those accepted go on.
   * @param queued what becomes of those that wait to be accepted. Default: `reset`; on a shared descriptor they wait for other threads
   */
  close(queued?: 'reset' | 'accept'): void;
  /** Closes the admitted connections, those in a handshake included (see {@link Connection.close}). */
  closeConnections(): void;
}

export interface ConnectOptions {
  to: PeerAddress;
  /** Local address and port; port 0: the system picks one. */
  bind?: SocketAddress;
  /** Limit on connecting, the TLS handshake included, in milliseconds. Default: 10,000. */
  timeout?: number;
  /** Idle time before the first TCP keepalive probe (tcp(7), TCP_KEEPIDLE), in milliseconds. Default: 30,000. */
  keepAlive?: number;
  tls?: TlsClient;
  /** Cancels the attempt; once connected, it has no effect. */
  signal?: AbortSignal;
}

/** A certificate chain with its private key, as PEM. */
export interface TlsPair {
  cert: string | Buffer;
  key: string | Buffer;
  /** Names that it serves: `app.example.com`, `*.example.com` (one or more labels). Default: those of the certificate. */
  names?: readonly string[];
  /**
   * CA certificates as PEM; a client that is given this pair needs a certificate that they verify. Where only some pairs have it, the node
   * engine requests a certificate of all clients, and refuses those that need one without an alert. Default: {@link TlsServer.clientCa}.
   */
  clientCa?: string;
}

/** How a listener secures its connections: TLS 1.2 and 1.3. An engine keeps what it derives from it: it never changes. */
export interface TlsServer {
  /** At least one. That which has the client's server name is used (see `pairFor` of tls-names.ts), else the first. */
  pairs: readonly TlsPair[];
  /** CA certificates as PEM. If given, a client needs a certificate that they verify. */
  clientCa?: string;
  /** Protocols in order of preference (RFC 7301). A client that offers others alone is refused. */
  alpn?: readonly string[];
  /**
   * Refuses a handshake whose server name no pair has, and one without a server name, with the alert unrecognized_name (RFC 6066, section
   * 3); the node engine sends no alert. Default: false: the first pair.
   */
  strictNames?: boolean;
}

/** What a client trusts, and what it presents. An engine keeps what it derives from it: it never changes. */
export interface TlsCredentials {
  /** CA certificates as PEM, all that are trusted. */
  ca: string | readonly string[];
  pair?: TlsPair;
}

/** How a connection to a server is secured: TLS 1.2 and 1.3. */
export interface TlsClient {
  credentials: TlsCredentials;
  /** The name that the server's certificate must have; sent as SNI unless it is an IP address (RFC 6066, section 3). */
  serverName: string;
  /** Accepts any certificate. */
  insecure: boolean;
  alpn?: readonly string[];
  /**
   * With TLS 1.3 a client is connected before the server has verified it (RFC 8446, section 2): waits up to 300 ms for the
   * server's first message, its session ticket. Default: false.
   */
  untilAccepted?: boolean;
}

/** What the handshake agreed upon. */
export interface TlsFacts {
  /** `TLSv1.2` or `TLSv1.3`. */
  version: string;
  /** The server name that the client sent; undefined: none. */
  serverName: string | undefined;
  /** The protocol (ALPN); undefined: none. */
  alpn: string | undefined;
  /** Whether a session was resumed. */
  resumed: boolean;
  /** The verified certificate of the peer as DER; undefined: it has none, or is not verified. */
  peerCertificate: Buffer | undefined;
  /** The number of the pair that was used; undefined: this side is the client. */
  pair: number | undefined;
  /** The authorities (PEM) that the client was verified by; undefined: it needed no certificate, or this side is the client. */
  clientCa: string | undefined;
}

/** By which of its certificates, and for whom, a server has secured a connection. */
export type TlsSite = Pick<TlsFacts, 'pair' | 'clientCa'>;

/** Takes what a connection reports. */
export interface ConnectionHandler {
  /** Received bytes. They are borrowed: what is used after the call must be copied. The call may overwrite them. */
  onData(bytes: Buffer): void;
  /**
   * The peer has sent everything: FIN, with TLS close_notify: a FIN without it is an error (ECONNRESET). Sending goes on. Called once.
   */
  onEnd(): void;
  /**
   * The peer has ended, noticed while the connection is paused. What it sent before is still to be read: `onEnd` comes after it. Called
   * once at most, and never by the node engine, which does not look at a paused socket.
   */
  onHangup?(): void;
  /** What {@link Connection.write} did not take at once is taken now. */
  onDrain?(): void;
  /** For as long as {@link Connection.limitIdle} says, nothing was received and nothing taken. Repeated. */
  onIdle?(): void;
  /**
   * The connection is closed, and the kernel reads no borrowed bytes any more. Called once, last.
   * @param error why it failed; undefined: both sides ended, or this side closed or aborted it
   */
  onClose(error?: Error): void;
}

/** A connection. Calls after its end have no effect. */
export interface Connection {
  /** Undefined: a Unix socket, or a peer that had left already. IPv4-mapped addresses are IPv4. */
  readonly peer: SocketAddress | undefined;
  readonly local: SocketAddress | undefined;
  /** Undefined: no TLS. */
  readonly tls: TlsFacts | undefined;
  /** Undefined: its listener expects none. */
  readonly preamble?: Preamble | undefined;
  /** Bytes received until now, without TLS's own. */
  readonly received: number;
  /** Bytes that the kernel, or TLS, has taken until now. */
  readonly sent: number;
  /** Begins to read, unless it is paused. Called once, and again after {@link putBack}; what happened before is reported then. */
  start(handler: ConnectionHandler): void;
  /**
   * Undoes {@link start}: nothing is reported until the next start, by whoever goes on with the connection, and who receives these bytes
   * first, the last ones that were received. From `onData` alone.
   */
  putBack(bytes: Uint8Array): void;
  /**
   * Starts TLS on an open connection, for protocols that begin without it, such as SMTP (RFC 3207). To be called when nothing is being
   * written, and the peer sends nothing before the handshake: from `onData` is fine.
   * @returns the secured connection; the handler of this one is called no more
   * @throws as {@link Streams.connect}; the connection is closed
   */
  secure(tls: TlsClient, options?: Pick<ConnectOptions, 'timeout' | 'signal'>): Promise<Connection>;
  /** Reads no more; the peer is slowed down by its full window. No `onData` and no `onEnd` until {@link resume}. */
  pause(): void;
  resume(): void;
  /**
   * Sends bytes in this order. They are borrowed, and must not change, until they are taken.
   * @returns true: all are taken, they can be reused; false: `onDrain` or `onClose` will tell. An engine may return false while
   * there is room, so that one connection cannot occupy it
   */
  write(bytes: readonly Uint8Array[]): boolean;
  /**
   * Sends of these bytes what is taken at once; none while {@link writing}. They are not borrowed: what is left stays the caller's, who
   * can give it to {@link write}. So received bytes go on to another connection without a copy.
   * @param soon for messages of few bytes: they may be sent at the end of this turn of the engine's loop, with those of other connections,
   * which takes less time. They count as taken and {@link sent} at once; what the system does not take then waits as that of
   * {@link write}, or is lost with the connection
   * @returns how many are taken, from the first on
   */
  offer(bytes: Uint8Array, soon?: boolean): number;
  /** Whether bytes of {@link write} are not taken yet. */
  readonly writing: boolean;
  /** Sends what was written, then ends this direction: FIN, with TLS close_notify first. Receiving goes on. */
  end(): void;
  /**
   * Ends, discards what is still received, and closes when the peer has ended, too; at the latest after this time. Unread
   * bytes would turn the end into a reset, which discards what the peer has not read (RFC 9293, section 3.6.1). Of several
   * calls the earliest limit counts. `onDrain` and `onClose` alone are called from now on.
   * @param limit in milliseconds
   */
  linger(limit: number): void;
  /** Closes: bytes that were taken, and the end of {@link end}, are still sent, others are not. @param error given to `onClose` */
  close(error?: Error): void;
  /** Closes with a reset (RST): nothing more is sent. @param error given to `onClose` */
  abort(error?: Error): void;
  /** Calls `onIdle` after this time without a byte received and without a write taken, in milliseconds; 0: never. */
  limitIdle(ms: number): void;
  /**
   * Closes with ETIMEDOUT when the peer has not acknowledged sent bytes, or has had no room for more, for this time (tcp(7),
   * TCP_USER_TIMEOUT). It limits unanswered keepalive probes, too, instead of their number. A Unix socket has none. Undefined: the engine
   * cannot.
   * @param ms in milliseconds; 0: as long as the system tries (tcp_retries2, about 15 minutes)
   */
  userTimeout?(ms: number): void;
  /** Bytes taken that the peer has not acknowledged (tcp(7), SIOCOUTQ); undefined where it cannot be read. */
  unacknowledged(): number | undefined;
}
