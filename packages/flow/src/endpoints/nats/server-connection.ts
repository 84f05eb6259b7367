import { type Connection, connectTcp, type Streams, type TlsConnection, tlsFor } from 'mproxy-net';
import { connectLine } from './connect-line.js';
import type { Login } from './credentials.js';
import { parseInfo, type ServerInfo } from './info.js';
import { Liveness } from './liveness.js';
import { type Message, Parser } from './protocol.js';
import { ProtocolError } from './protocol-error.js';
import { ServerError } from './server-error.js';
import type { Server } from './servers.js';

/** Limit on a login, from the server's first byte to its answer, in milliseconds. */
const LOGIN_MS = 10_000;
/** Limit on lines that wait for a connection that takes nothing, in bytes. */
const MAX_LINES = 64 * 1024;

/** How servers are connected to. */
export interface ServerConnectionOptions {
  streams: Streams;
  login: Login;
  /** Whether a server without TLS is refused; with it, TLS is used wherever the server wants it. */
  requiresTls: boolean;
  tls: () => TlsConnection;
}

/** Takes what happens after the login. */
export interface ServerConnectionHandler {
  onInfo(info: ServerInfo, server: Server): void;
  /** The message is lent for the call. */
  onMessage(message: Message): void;
  /** The bytes of the messages until now are used for others from now on. */
  onBurstEnd(): void;
  onError(error: ServerError): void;
  /** The connection took what it was given. */
  onDrain(): void;
}

/** A connection to one server, from its INFO to its end. */
export class ServerConnection {
  info!: ServerInfo;
  /** Resolves with the reason when the connection is closed. */
  readonly closed: Promise<Error>;
  /** Since when messages may be missing, by the clock of `performance`; set when it is closed. */
  endedAt: number | undefined;
  /** Resolves when the server announces that it will close its connections. */
  readonly lameDuck: Promise<'lame duck'>;
  connection!: Connection;
  #onClosed!: (why: Error) => void;
  #onLameDuck!: (why: 'lame duck') => void;
  /** What is expected: INFO; nothing, while TLS begins; the answer to CONNECT; anything. */
  #stage: 'info' | 'nothing' | 'login' | 'open' = 'info';
  #greeted: () => void = () => undefined;
  /** Who waits for a PONG, in the order of the PINGs. */
  readonly #pongs: ((answered: boolean) => void)[] = [];
  #error: Error | undefined;
  #isClosing = false;
  #isClosed = false;
  #lines = '';
  readonly #liveness = new Liveness(
    () => void this.ping(),
    () => this.close(new Error('the server does not answer PING')),
  );

  private constructor(
    private readonly options: ServerConnectionOptions,
    readonly server: Server,
    private readonly handler: ServerConnectionHandler,
  ) {
    this.closed = new Promise((resolve) => {
      this.#onClosed = resolve;
    });
    this.lameDuck = new Promise((resolve) => {
      this.#onLameDuck = resolve;
    });
  }

  /** Connects and logs in. @throws the error of the system, the server or its certificate; the signal's reason */
  static async open(
    options: ServerConnectionOptions,
    server: Server,
    handler: ServerConnectionHandler,
    signal: AbortSignal,
  ): Promise<ServerConnection> {
    const opened = new ServerConnection(options, server, handler);
    const { host, port } = server;
    const address = { text: host, host, port, keys: {}, own: new Set<never>() };
    opened.#start(await connectTcp(options.streams, address, undefined, signal));
    const stop = () => opened.close();
    signal.addEventListener('abort', stop);
    const timer = setTimeout(() => opened.close(new Error('timed out: no answer to the login')), LOGIN_MS);
    try {
      await opened.#logIn(signal);
      return opened;
    } catch (error) {
      opened.close();
      throw error;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
    }
  }

  /** Sends a control line, before what is written later. It ends with CR LF. */
  send(line: string): void {
    if (this.#lines === '' && !this.connection.writing) this.connection.write([Buffer.from(line)]);
    else this.#lines += line;
    if (this.#lines.length > MAX_LINES) this.close(new Error('the server sends, but reads nothing'));
  }

  /** Sends PING. @returns whether it was answered: then the server has handled all that was written before */
  ping(): Promise<boolean> {
    if (this.#isClosed) return Promise.resolve(false);
    this.send('PING\r\n');
    return new Promise((resolve) => this.#pongs.push(resolve));
  }

  pause(): void {
    this.#liveness.paused = true;
    this.connection.pause();
  }

  resume(): void {
    this.#liveness.paused = false;
    this.connection.resume();
  }

  /** @param why for {@link closed} */
  close(why?: Error): void {
    this.#error ??= why;
    this.#isClosing = true;
    this.connection.close();
  }

  async #logIn(signal: AbortSignal): Promise<void> {
    await Promise.race([
      this.closed,
      new Promise<void>((resolve) => {
        this.#greeted = resolve;
      }),
    ]);
    if (this.#isClosed) throw await this.closed;
    const { requiresTls, tls } = this.options;
    const { tlsRequired, tlsAvailable, nonce } = this.info;
    if (requiresTls && !tlsRequired && !tlsAvailable) throw new Error('the server has no TLS');
    if (requiresTls || tlsRequired) await this.#secure(tls(), signal);
    this.#stage = 'login';
    this.send(connectLine(this.options.login, nonce, this.connection.tls !== undefined));
    if (!(await this.ping())) throw await this.closed;
    this.#stage = 'open';
    this.#liveness.start();
  }

  async #secure(tls: TlsConnection, signal: AbortSignal): Promise<void> {
    const { server, connection } = this;
    this.#start(await connection.secure(tlsFor(server.tlsName, tls), { signal }));
  }

  #start(connection: Connection): void {
    this.connection = connection;
    const parser = new Parser(this);
    connection.start({
      onData: (bytes) => this.#parse(parser, bytes),
      onEnd: () => this.close(),
      onDrain: () => this.#drained(),
      onClose: (error) => this.#closedNow(error),
    });
  }

  #parse(parser: Parser, bytes: Buffer): void {
    if (this.#isClosing) return;
    this.#liveness.heard();
    try {
      parser.push(bytes);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.close(new Error(`the server violates the protocol: ${error.message}`));
    }
  }

  /** @internal called by the parser */
  onInfo(json: string): void {
    const isFirst = this.#stage === 'info';
    if (this.#stage === 'nothing') throw new ProtocolError('a second INFO before CONNECT');
    this.info = parseInfo(json);
    if (isFirst) this.#stage = 'nothing';
    else {
      if (this.info.lameDuck) this.#onLameDuck('lame duck');
      this.handler.onInfo(this.info, this.server);
    }
    this.#greeted();
  }

  /** @internal called by the parser */
  onMessage(message: Message): void {
    this.#require('open');
    this.handler.onMessage(message);
  }

  /** @internal called by the parser */
  onBurstEnd(): void {
    if (this.#stage === 'open') this.handler.onBurstEnd();
  }

  /** @internal called by the parser */
  onPing(): void {
    this.#require('login', 'open');
    this.send('PONG\r\n');
  }

  /** @internal called by the parser */
  onPong(): void {
    this.#require('login', 'open');
    this.#pongs.shift()?.(true);
  }

  /** @internal called by the parser */
  onError(text: string): void {
    const error = new ServerError(text);
    // After any other error a server closes the connection.
    if (this.#stage === 'open' && error.forbids) this.handler.onError(error);
    else this.close(error);
  }

  #require(...stages: ('login' | 'open')[]): void {
    // Before TLS, anybody on the way could have written it.
    if (!stages.includes(this.#stage as 'open')) throw new ProtocolError('data before CONNECT was answered');
  }

  #drained(): void {
    this.#liveness.heard();
    const lines = this.#lines;
    this.#lines = '';
    if (lines !== '' && !this.connection.write([Buffer.from(lines)])) return;
    if (this.#stage === 'open') this.handler.onDrain();
  }

  #closedNow(error: Error | undefined): void {
    this.#isClosed = true;
    this.#liveness.stop();
    const why = this.#error ?? error;
    // A connection that breaks may have been dead for long; one that the server closes brought all that was sent on it.
    this.endedAt = why ? this.#liveness.heardAt : performance.now();
    for (const answer of this.#pongs.splice(0)) answer(false);
    this.#onClosed(why ?? new Error('closed by the server'));
  }
}
