import type { Connection, ConnectionHandler } from 'mproxy-net';
import {
  type Body,
  type BodySink,
  type Connections,
  Context,
  Deadlines,
  type HttpContext,
  type HttpRequest,
  HttpResponse,
  type HttpServerOptions,
  type HttpService,
  httpServer,
  type Outcome,
  type Service,
  service,
} from 'mproxy-service';
import type { Test } from 'tap';
import { Clock } from '../support/clock.js';

/** A connection in memory: what is sent on it is remembered, and its peer does what a test says. */
export class MemoryConnection implements Connection {
  readonly peer = { address: '192.0.2.1', port: 1234 };
  readonly local = { address: '127.0.0.1', port: 80 };
  readonly tls = undefined;
  received = 0;
  sent = 0;
  writing = false;
  /** Bytes that it takes; the rest waits for {@link drain}. */
  room = Number.POSITIVE_INFINITY;
  /** What became of it: `end`, `linger`, `close`, `abort`. */
  readonly ends: string[] = [];
  /** Each send by itself. */
  readonly sends: string[] = [];
  paused = false;
  handler!: ConnectionHandler;
  #queue = Buffer.alloc(0);
  #closed = false;

  get text(): string {
    return this.sends.join('');
  }

  /** Received bytes, in memory that is used again. */
  receive(text: string | Buffer): void {
    const bytes = Buffer.from(text as string, 'latin1');
    this.received += bytes.length;
    this.handler.onData(bytes);
    bytes.fill('!');
  }

  /** The peer takes so many bytes of what waits. */
  take(count: number): void {
    const some = this.#queue.subarray(0, count);
    this.#queue = this.#queue.subarray(count);
    this.sends.push(some.toString('latin1'));
    this.sent += some.length;
    this.writing = this.#queue.length > 0;
    if (!this.writing && some.length > 0) this.handler.onDrain?.();
  }

  drain(): void {
    this.room = Number.POSITIVE_INFINITY;
    this.take(this.#queue.length);
  }

  /** Bytes that wait. */
  get waiting(): number {
    return this.#queue.length;
  }

  start(handler: ConnectionHandler): void {
    this.handler = handler;
  }

  offer(bytes: Uint8Array): number {
    if (this.writing || this.#closed) return 0;
    const taken = Math.min(this.room, bytes.length);
    this.room -= taken;
    this.sent += taken;
    if (taken > 0) this.sends.push(Buffer.from(bytes.subarray(0, taken)).toString('latin1'));
    return taken;
  }

  write(bytes: readonly Uint8Array[]): boolean {
    if (this.#closed) return false;
    this.#queue = Buffer.concat([this.#queue, ...bytes]);
    this.writing = this.#queue.length > 0;
    return !this.writing;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  end(): void {
    this.ends.push('end');
  }

  linger(ms: number): void {
    this.ends.push(`linger ${ms}`);
  }

  close(): void {
    this.#ended('close');
  }

  abort(): void {
    this.#ended('abort');
  }

  #ended(how: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.ends.push(how);
    this.writing = false;
  }

  putBack(): void {
    throw new Error('not here');
  }

  secure(): Promise<Connection> {
    throw new Error('not here');
  }

  limitIdle(): void {}

  unacknowledged(): undefined {
    return undefined;
  }
}

/** Deadlines whose looks a test decides on. */
export class ManualDeadlines extends Deadlines {
  readonly #clock: Clock;
  readonly #tick: () => void;

  constructor(t: Test) {
    const clock = new Clock(t);
    let tick = () => {};
    super({
      timer: (onDue) => {
        tick = onDue;
        return { set: () => undefined, clear: () => undefined };
      },
    });
    this.#clock = clock;
    this.#tick = () => tick();
  }

  /** Time passes without a look. */
  stall(ms: number): void {
    this.#clock.pass(ms);
    this.#tick();
  }

  /** Time passes, in looks as they are usual. */
  pass(ms: number): void {
    for (let left = ms; left > 0; left -= 100) {
      this.#clock.pass(Math.min(100, left));
      this.#tick();
    }
  }
}

/** A server on one connection in memory, with what happened. */
export class MemoryServer {
  readonly connection = new MemoryConnection();
  readonly outcomes: Outcome[] = [];
  readonly errors: unknown[] = [];
  readonly rejections: string[] = [];
  readonly requests: HttpRequest[] = [];
  readonly contexts: HttpContext[] = [];
  readonly context: Context;
  done = false;
  readonly #server: Service<Connection, void>;

  constructor(inner: HttpService, options: HttpServerOptions & { connections?: Connections } = {}) {
    const { peer, local, tls } = this.connection;
    const { connections, ...rest } = options;
    this.context = new Context({ peer, local, tls, listener: 'test', connections });
    this.#server = httpServer(
      service((request, context) => {
        this.requests.push(request);
        this.contexts.push(context);
        context.onDone((outcome) => this.outcomes.push(outcome));
        return inner.call(request, context);
      }),
      {
        deadlines: new Deadlines({ timer: () => ({ set: () => undefined, clear: () => undefined }) }),
        onError: (error) => this.errors.push(error),
        onRejected: ({ status, reason }) => this.rejections.push(`${status} ${reason}`),
        ...rest,
      },
    );
    const result = this.#server.call(this.connection, this.context) as PromiseLike<void>;
    void result.then(() => {
      this.done = true;
    });
  }

  /** Another connection of the same server. */
  connect(): MemoryConnection {
    const connection = new MemoryConnection();
    this.#server.call(connection, this.context);
    return connection;
  }

  /** What was sent, without Date. */
  get text(): string {
    return this.connection.text.replaceAll(/^Date: .*\r\n/gm, '');
  }

  get ends(): string {
    return this.connection.ends.join(' ');
  }
}

/** Answers with the method, the path and what it has received. */
export const echo: HttpService = service(async (request) => {
  const body = request.body ? await readBody(request) : '';
  return HttpResponse.text(200, `${request.method} ${request.path}${request.query} ${body}\n`);
});

/** The body of a request, with its trailers. @throws its error */
export function readBody({ body }: HttpRequest): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    body!.start({
      onData(bytes) {
        text += Buffer.from(bytes).toString('latin1');
      },
      onEnd: (trailers) => resolve(text + (trailers ? JSON.stringify([...trailers]) : '')),
      onError: reject,
    });
  });
}

/** A body that a test fills. */
export class ManualBody implements Body {
  sink: BodySink | undefined;
  paused = false;
  cancelled: Error | true | undefined;

  constructor(readonly length: number | undefined = undefined) {}

  start(sink: BodySink): void {
    this.sink = sink;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  cancel(error?: Error): void {
    this.cancelled = error ?? true;
  }

  push(text: string): void {
    this.sink!.onData(Buffer.from(text));
  }
}
