import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { SocketAddress } from 'mproxy-base';
import { canonicalIp } from '../address.js';
import { truncated } from '../socket-errors.js';
import type {
  Connection,
  ConnectionHandler,
  ConnectOptions,
  Preamble,
  TlsClient,
  TlsFacts,
  TlsSite,
} from '../streams.js';
import { isCut } from './cut.js';
import { survivesFailedWrite } from './failed-write.js';
import { preambleOf } from './preamble.js';

/** Reads the bytes of a socket that its peer has not acknowledged, where the system can tell. */
export type Unacknowledged = ((fd: number) => number | undefined) | undefined;

const CLIENT: TlsSite = { pair: undefined, clientCa: undefined };

/** How a connection is upgraded to TLS (see {@link Connection.secure}). */
export type Secure = (raw: Socket, tls: TlsClient, options: SecureOptions) => Promise<Connection>;
type SecureOptions = Pick<ConnectOptions, 'timeout' | 'signal'>;

/** The buffer that a socket receives into (node:net, `onread`), instead of a new one for each read. */
export class ReceiveBuffer {
  readonly buffer = Buffer.allocUnsafeSlow(64 * 1024);
  take: (bytes: Buffer) => void = () => undefined;
  readonly callback = (length: number): boolean => {
    this.take(this.buffer.subarray(0, length));
    return true;
  };
}

/** A connection on a socket of node:net, which may be secured by one of node:tls. */
export class NodeConnection implements Connection {
  readonly peer: SocketAddress | undefined;
  readonly local: SocketAddress | undefined;
  readonly tls: TlsFacts | undefined;
  readonly preamble: Preamble | undefined;
  received = 0;
  #handler: ConnectionHandler | undefined;
  #error: Error | undefined;
  /** Why nothing more can be written: the peer is gone, and what came before is still to be read. */
  #writeError: Error | undefined;
  #closed: boolean;
  /** Writes that the socket has not called back for, and whether `onDrain` is due after the last of them. */
  #uncalled = 0;
  #drainDue = false;
  /** What is still received is discarded. */
  #discards = false;
  #lingerTimer: NodeJS.Timeout | undefined;
  #lingerUntil = Number.POSITIVE_INFINITY;
  /** The end came while it was paused, or put back; then both sides had ended, and Node closed it. They are told when it goes on. */
  #endHeld = false;
  #closeHeld = false;
  #paused = false;
  #started = false;
  /** Received bytes that are delivered again. */
  #back: Buffer | undefined;

  /**
   * @param raw the socket of the kernel
   * @param stream the same, or the TLS socket on it, with the handshake finished
   * @param receiveBuffer what the stream receives into, if it has one; it is paused then
   * @param site what a server of TLS has secured it by
   */
  constructor(
    private readonly raw: Socket,
    private readonly stream: Socket,
    private readonly engine: { unacknowledged: Unacknowledged; secure: Secure },
    private readonly receiveBuffer?: ReceiveBuffer,
    site: TlsSite = CLIENT,
  ) {
    this.peer = addressOf(raw.remoteAddress, raw.remotePort);
    this.local = addressOf(raw.localAddress, raw.localPort);
    this.preamble = preambleOf(raw);
    this.tls = stream instanceof TLSSocket ? factsOf(stream, site) : undefined;
    this.#error = stream.errored ?? undefined;
    this.#closed = stream.closed;
    stream.on('error', this.#failed);
    stream.on('close', this.#closedNow);
    if (stream === raw) survivesFailedWrite(stream, this.#writeFailed);
  }

  start(handler: ConnectionHandler): void {
    this.#handler = handler;
    if (this.#closed && !this.#closeHeld) setImmediate(() => handler.onClose(this.#error));
    if (this.#started) {
      if (!this.#paused) this.resume();
      return;
    }
    this.#started = true;
    this.stream.on('end', this.#ended);
    if (this.receiveBuffer) this.receiveBuffer.take = this.#read;
    else this.stream.on('data', this.#read);
    // A socket is accepted paused.
    if (!this.#paused) this.stream.resume();
  }

  putBack(bytes: Uint8Array): void {
    this.#handler = undefined;
    this.#back = bytes.length > 0 ? Buffer.from(bytes) : undefined;
    this.received -= bytes.length;
    this.stream.pause();
  }

  async secure(tls: TlsClient, options: SecureOptions = {}): Promise<Connection> {
    this.#handler = undefined;
    const { stream } = this;
    stream.pause();
    stream.off('data', this.#read);
    if (this.receiveBuffer) this.receiveBuffer.take = () => undefined;
    stream.off('end', this.#ended);
    return this.engine.secure(stream, tls, options);
  }

  pause(): void {
    this.#paused = true;
    this.stream.pause();
    if (this.#writeError) this.stream.destroy(this.#writeError);
    // A resume of the same turn of the event loop begins to read after it (Node: resume_).
    if (this.receiveBuffer) process.nextTick(() => this.#paused && this.stream.pause());
  }

  resume(): void {
    this.#paused = false;
    if (this.#back) setImmediate(this.#deliverBack);
    else this.stream.resume();
    if (this.#endHeld) setImmediate(this.#ended);
  }

  write(bytes: readonly Uint8Array[]): boolean {
    const { stream } = this;
    if (bytes.length === 0) return !this.writing;
    if (stream.destroyed || stream.writableEnded || this.#writeError) return false;
    this.#uncalled++;
    const last = bytes.length - 1;
    if (last > 0) stream.cork();
    for (let i = 0; i < last; i++) stream.write(bytes[i]!);
    stream.write(bytes[last]!, this.#written);
    if (last > 0) stream.uncork();
    // A socket that failed has nothing queued either.
    if (stream.writableLength === 0 && !stream.errored && !stream.destroyed) return true;
    this.#drainDue = true;
    return false;
  }

  offer(bytes: Uint8Array): number {
    if (this.writing || bytes.length === 0) return 0;
    // Node keeps what the kernel does not take.
    this.write([Buffer.from(bytes)]);
    return this.stream.destroyed || this.stream.writableEnded ? 0 : bytes.length;
  }

  get writing(): boolean {
    return this.stream.writableLength > 0 && !this.#writeError;
  }

  end(): void {
    this.stream.end();
  }

  linger(limit: number): void {
    const until = performance.now() + limit;
    if (this.#closed) this.#discard(undefined);
    if (this.#closed || until >= this.#lingerUntil) return;
    this.#lingerUntil = until;
    this.#discards = true;
    this.stream.end();
    this.resume();
    clearTimeout(this.#lingerTimer);
    this.#lingerTimer = setTimeout(() => this.stream.destroy(), limit);
  }

  close(error?: Error): void {
    const { stream } = this;
    const ending = !error && stream.writableEnded && !stream.writableFinished && !this.writing;
    if (!ending) stream.destroy(error);
    else if (!this.#discards) stream.once('finish', () => stream.destroy());
    this.#discard(error);
  }

  abort(error?: Error): void {
    this.#error ??= error;
    // A Unix socket has no reset: closed with unread bytes, its peer gets ECONNRESET all the same (unix(7)).
    if (this.peer) this.raw.resetAndDestroy();
    this.stream.destroy(error);
    this.#discard(error);
  }

  limitIdle(ms: number): void {
    this.stream.off('timeout', this.#idle);
    if (ms > 0) this.stream.on('timeout', this.#idle);
    this.stream.setTimeout(ms);
  }

  get sent(): number {
    return takenFrom(this.raw);
  }

  unacknowledged(): number | undefined {
    const fd = descriptorOf(this.raw);
    return fd === undefined ? undefined : this.engine.unacknowledged?.(fd);
  }

  readonly #read = (bytes: Buffer): void => {
    this.received += bytes.length;
    // Node passes on what it has buffered after a destruction, too.
    if (!this.#discards && (!this.stream.destroyed || this.#closeHeld)) this.#handler?.onData(bytes);
  };

  readonly #deliverBack = (): void => {
    const bytes = this.#back;
    if (!bytes || this.#paused || !this.#handler) return;
    this.#back = undefined;
    this.#read(bytes);
    if (!this.#paused && this.#handler) this.resume();
  };

  readonly #ended = (): void => {
    if (this.#writeError) {
      this.stream.destroy(this.#writeError);
      return;
    }
    // What was put back comes before it, to whoever goes on.
    this.#endHeld = this.#paused || this.#back !== undefined || !this.#handler;
    if (this.#endHeld) return;
    if (isCut(this.stream)) this.#failed(truncated());
    const isOpen = !this.stream.destroyed || this.#closeHeld;
    if (isOpen && !this.#discards && !this.#error) this.#handler?.onEnd();
    this.#tellHeldClose();
  };

  /** Node calls back without an error for what a destroyed socket did not take. */
  readonly #written = (error?: Error | null): void => {
    this.#uncalled--;
    if (error || this.stream.destroyed || this.#uncalled > 0 || !this.#drainDue) return;
    this.#drainDue = false;
    this.#handler?.onDrain?.();
  };

  readonly #writeFailed = (error: Error): void => {
    this.#writeError ??= error;
    // A read tells of the end of it.
    if (this.#paused || this.stream.readableEnded) this.stream.destroy(error);
  };

  readonly #idle = (): void => {
    // Node calls once only.
    this.stream.setTimeout(this.stream.timeout ?? 0);
    this.#handler?.onIdle?.();
  };

  /** An alert of TLS is an error, followed by the end; the socket stays open. */
  readonly #failed = (error: Error): void => {
    this.#error ??= error;
    this.stream.destroy();
  };

  readonly #closedNow = (): void => {
    this.#closed = true;
    clearTimeout(this.#lingerTimer);
    this.#closeHeld = this.#endHeld && !this.#discards && !this.#error;
    if (!this.#closeHeld) this.#handler?.onClose(this.#error);
  };

  readonly #tellHeldClose = (): void => {
    if (!this.#closeHeld) return;
    this.#closeHeld = false;
    this.#handler?.onClose(this.#error);
  };

  /** Nothing is received any more. */
  #discard(error: Error | undefined): void {
    this.#discards = true;
    if (!this.#closeHeld) return;
    this.#error ??= error;
    setImmediate(this.#tellHeldClose);
  }
}

/** Bytes that the kernel took: of what Node gave to libuv, without what that still has. Node publishes neither. */
function takenFrom(socket: Socket): number {
  const { _handle: handle } = socket as Socket & {
    _handle?: { bytesWritten: number; writeQueueSize: number } | null;
  };
  return handle ? handle.bytesWritten - handle.writeQueueSize : socket.bytesWritten;
}

/** The descriptor of a socket, which Node does not publish; on Windows there is none (-1). */
export function descriptorOf(socket: Socket): number | undefined {
  const fd = (socket as Socket & { _handle?: { fd?: unknown } | null })._handle?.fd;
  return typeof fd === 'number' && fd >= 0 ? fd : undefined;
}

/** An address without the IPv4-mapped form; undefined: a Unix socket. */
export function addressOf(ip: string | undefined, port: number | undefined): SocketAddress | undefined {
  return ip === undefined || port === undefined ? undefined : { address: canonicalIp(ip) ?? ip, port };
}

function factsOf(socket: TLSSocket, site: TlsSite): TlsFacts {
  const { servername } = socket as TLSSocket & { servername?: string | false };
  return {
    version: socket.getProtocol() ?? 'unknown',
    serverName: servername || undefined,
    alpn: socket.alpnProtocol || undefined,
    resumed: socket.isSessionReused(),
    peerCertificate: socket.authorized ? socket.getPeerX509Certificate()?.raw : undefined,
    ...site,
  };
}
