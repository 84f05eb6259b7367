import { connect, isIP, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { connect as connectTls, type SecureContext } from 'node:tls';
import { failure, reason, showAddress, showDuration, throwInternal } from 'mproxy-base';
import type { Frame } from 'mproxy-framing';
import {
  type Address,
  Backoff,
  type Deliver,
  familyOf,
  lacksZone,
  lookUp,
  resolveBind,
  untilQuiet,
  zoneNeeded,
  zoneOf,
} from 'mproxy-net';
import { sourceCounts } from '../../counts.js';
import { type Event, NoticeLimit } from '../../notices.js';
import type { Program } from '../../program.js';
import type { Source } from '../../source.js';
import { FramedStream } from '../../stream/framed-stream.js';
import { readAll } from './senders.js';

/** Limit on connecting to one address, the TLS handshake included, in milliseconds. */
const CONNECT_MS = 10_000;
/** Idle time before the first keepalive probe, in milliseconds. */
const KEEPALIVE_MS = 30_000;

const CONNECTED: Event = ['connect'];
const FAILED: Event = ['failure or end', 'failures or ends'];

export interface TcpConnectOptions {
  frame: Frame;
  payload: number;
  flushAfter: number | undefined;
  /** Milliseconds without data after which a connection fails; 0: never. */
  idleTimeout: number;
  /** Sent after every connect. */
  greeting: Buffer;
  /** Connect once; the source then ends at EOF, and fails otherwise. */
  once: boolean;
  tls: { context: SecureContext; servername: string | undefined; insecure: boolean } | undefined;
}

/** A TCP or TLS upstream that is read as a stream, and reconnected whenever the connection ends. */
export class TcpConnectSource implements Source {
  readonly counts = { ...sourceCounts(), connections: { now: 0, ever: 0 } };
  readonly #stopping = new AbortController();
  readonly #notices: NoticeLimit;
  #socket: Socket | undefined;

  constructor(
    private readonly program: Program,
    private readonly address: Address,
    private readonly options: TcpConnectOptions,
  ) {
    this.#notices = new NoticeLimit(`upstream: ${this.name}`, program);
  }

  get name(): string {
    return this.address.text;
  }

  async run(deliver: Deliver): Promise<void> {
    const backoff = new Backoff();
    while (!this.#stopping.signal.aborted) {
      const ended = await this.#connection(deliver, backoff);
      if (this.#stopping.signal.aborted) return;
      if (this.options.once) return this.#endOnce(ended);
      const delay = backoff.next();
      this.#notices.notice(
        FAILED,
        `upstream: ${this.name}: ${reason(ended ?? 'ended')}; trying again in ${showDuration(delay)}`,
      );
      await wait(delay, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
    }
  }

  /** Reads what the kernel already holds before the connection is closed. */
  stop(): void {
    this.#stopping.abort();
    const socket = this.#socket;
    if (socket) void untilQuiet(() => socket.bytesRead).then(() => socket.destroy());
  }

  /** Runs one connection. @returns why it failed; undefined when the upstream ended it */
  async #connection(deliver: Deliver, backoff: Backoff): Promise<Error | undefined> {
    const { counts, options } = this;
    const stream = new FramedStream({ ...options, counts, deliver });
    try {
      const socket = await this.#connect();
      this.#socket = socket;
      backoff.connected();
      if (counts.connections.ever++ > 0) counts.reconnects++;
      counts.connections.now++;
      this.#notices.notice(CONNECTED, `upstream: ${this.name}: connected to ${showPeer(socket)}`);
      if (options.greeting.length > 0) socket.write(options.greeting);
      const why = await readAll(socket, stream);
      if (stream.taken > 0) backoff.delivered();
      socket.destroy();
      counts.connections.now--;
      if (await stream.breakOff()) counts.brokenLines++;
      return why;
    } catch (error) {
      throwInternal(error);
      return error as Error;
    }
  }

  #endOnce(failed: Error | undefined): void {
    if (failed) throw failure('MPROXY_UPSTREAM', 'upstream', this.name, failed);
    this.program.notice(`upstream: ${this.name}: ended`);
  }

  /** Resolves the name again, and tries every answer. */
  async #connect(): Promise<Socket> {
    let lastError: unknown;
    const ips = await lookUp(this.address.host, this.#stopping.signal);
    for (const ip of ips) {
      try {
        return await this.#connectTo(ip);
      } catch (error) {
        throwInternal(error);
        lastError = error;
        if (this.#stopping.signal.aborted) break;
      }
    }
    throw lastError;
  }

  async #connectTo(ip: string): Promise<Socket> {
    const { port, host, keys } = this.address;
    if (lacksZone(ip, this.address)) throw new Error(`${zoneNeeded(ip)}; write [${ip}%zone]:${port}`);
    const zone = zoneOf(this.address, ip);
    const { tls, idleTimeout } = this.options;
    const { signal } = this.#stopping;
    const bind = keys.bind === undefined ? undefined : await resolveBind(keys.bind, familyOf(ip), signal);
    const socket = connect({
      host: zone === undefined ? ip : `${ip}%${zone}`,
      port,
      ...(bind && { localAddress: bind.address, localPort: bind.port }),
      keepAlive: true,
      keepAliveInitialDelay: KEEPALIVE_MS,
    });
    const secured = tls
      ? connectTls({
          socket,
          secureContext: tls.context,
          rejectUnauthorized: !tls.insecure,
          ...servername(tls.servername ?? host),
          minVersion: 'TLSv1.2',
        })
      : socket;
    const stop = () => secured.destroy();
    this.#stopping.signal.addEventListener('abort', stop);
    try {
      await opened(secured, tls ? 'secureConnect' : 'connect');
    } catch (error) {
      socket.destroy();
      secured.destroy();
      throw error;
    } finally {
      this.#stopping.signal.removeEventListener('abort', stop);
    }
    if (idleTimeout > 0) {
      const timedOut = () => secured.destroy(new Error(`silent for ${showDuration(idleTimeout)}`));
      secured.setTimeout(idleTimeout, timedOut);
    }
    return secured;
  }
}

/** An IP address is verified but never sent as SNI (RFC 6066, section 3). */
function servername(name: string) {
  return isIP(name) ? { host: name } : { host: name, servername: name };
}

function opened(socket: Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  return new Promise((resolve, reject) => {
    const timeout = Object.assign(new Error('timed out'), { code: 'ETIMEDOUT' });
    const timer = setTimeout(() => socket.destroy(timeout), CONNECT_MS);
    const failed = (error?: Error) => {
      clearTimeout(timer);
      reject(error ?? new Error('closed before it was ready'));
    };
    socket.once('error', failed);
    const closed = () => failed();
    socket.once('close', closed);
    socket.once(event, () => {
      clearTimeout(timer);
      socket.off('error', failed);
      socket.off('close', closed);
      // Later errors end the read loop, which reports them.
      socket.on('error', () => undefined);
      resolve();
    });
  });
}

function showPeer({ remoteAddress = '', remotePort = 0 }: Socket): string {
  return showAddress({ address: remoteAddress, port: remotePort });
}
