import type { SocketAddress } from 'mproxy-base';
import type { Connection, ConnectionHandler } from 'mproxy-net';
import type { Context } from './context.js';
import { type Dated, type Deadlines, sharedDeadlines } from './deadlines.js';
import { type ProxyHeader, parseProxyHeader } from './proxy-header.js';
import { Pending, type Result, whenDone } from './result.js';
import type { Layer, Service } from './service.js';

export interface ProxyProtocolOptions {
  /** Whether a peer may say who it speaks for. Undefined: a Unix socket. */
  trusts(peer: SocketAddress | undefined): boolean;
  /** Limit on the header, in milliseconds. Default: 10,000. */
  timeout?: number;
  /** Default: those of the thread. */
  deadlines?: Deadlines;
}

/**
 * Takes a header of the PROXY protocol, version 1 or 2, off each connection: its addresses are those of the context from then on. A
 * connection without one, with a malformed one, or of a peer that is not trusted, is closed.
 */
export function proxyProtocol(options: ProxyProtocolOptions): Layer<Connection, void> {
  const deadlines = options.deadlines ?? sharedDeadlines();
  const timeout = options.timeout ?? 10_000;
  return (inner) => ({
    call(connection: Connection, context: Context): Result<void> {
      if (!options.trusts(connection.peer)) {
        connection.abort();
        return;
      }
      const reader = new HeaderReader(connection, context, inner, deadlines, timeout);
      connection.start(reader);
      return reader.done;
    },
  });
}

/** Reads the header, then gives the connection to the inner service. */
class HeaderReader implements ConnectionHandler, Dated {
  readonly done = new Pending<void>();
  dueAt: number;
  #bytes: Buffer | undefined;

  constructor(
    private readonly connection: Connection,
    private readonly context: Context,
    private readonly inner: Service<Connection, void>,
    private readonly deadlines: Deadlines,
    timeout: number,
  ) {
    deadlines.add(this);
    this.dueAt = deadlines.now + timeout;
  }

  onData(bytes: Buffer): void {
    const all = this.#bytes ? Buffer.concat([this.#bytes, bytes]) : bytes;
    const header = parseProxyHeader(all);
    if (header === 'incomplete') this.#bytes = Buffer.from(all);
    else if (header === 'invalid') this.connection.abort();
    else this.#pass(header, all.subarray(header.length));
  }

  onEnd(): void {
    this.connection.close();
  }

  onClose(): void {
    this.deadlines.delete(this);
    this.done.resolve();
  }

  onDue(): void {
    this.connection.abort();
  }

  #pass({ source, destination }: ProxyHeader, rest: Buffer): void {
    const { connection, context, done } = this;
    this.deadlines.delete(this);
    if (source) context.peer = source;
    if (destination) context.local = destination;
    connection.putBack(rest);
    const failed = (error: unknown) => done.reject(error);
    try {
      whenDone(this.inner.call(connection, context), () => done.resolve(), failed);
    } catch (error) {
      failed(error);
    }
  }
}
