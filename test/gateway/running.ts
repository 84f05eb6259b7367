import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { Worker } from 'node:worker_threads';
import { type GatewayOptions, type Handle, type Notice, startGateway } from 'mproxy-gateway';
import type { Test } from 'tap';
import { until } from '../support/wait.js';

/** The engine that the suite runs on. */
export const ENGINE = process.env.ENGINE ?? 'auto';
export const IS_NODE = ENGINE === 'node';

/** A gateway in this process, whose workers a test can end. */
export class RunningGateway {
  readonly notices: Notice[] = [];
  /** Those that ended, too, in the order of their start. */
  readonly workers: Worker[] = [];
  readonly handle: Handle;
  port = 0;

  constructor(t: Test, options: GatewayOptions) {
    const started = (worker: Worker) => this.workers.push(worker);
    process.on('worker', started);
    this.handle = startGateway({
      engine: ENGINE,
      ...options,
      onNotice: (notice) => this.notices.push(notice),
    });
    t.teardown(async () => {
      await this.handle.stop().catch(() => undefined);
      process.off('worker', started);
    });
  }

  /** The text of a notice of a type, when there is one; the n-th from 0. */
  async notice(event: string, nth = 0): Promise<Notice> {
    const found = () => this.notices.filter((one) => one.event === event);
    await until(`notice ${event}, number ${nth + 1}`, () => found().length > nth);
    return found()[nth]!;
  }

  /** The sum of the samples of a metric whose labels include these. */
  metric(name: string, labels: Record<string, string> = {}): number {
    const samples = this.handle.stats().figures!.metrics.find((one) => one.name === name)?.samples ?? [];
    const fits = (has: Record<string, string>) =>
      Object.entries(labels).every(([key, value]) => has[key] === value);
    const values = samples.filter((one) => fits(one.labels)).map(({ value }) => value);
    return values.reduce<number>(
      (sum, value) =>
        sum + (typeof value === 'number' ? value : value.counts.reduce((all, one) => all + one, 0)),
      0,
    );
  }
}

/** Starts a gateway in front of an origin. */
export async function gateway(t: Test, options: GatewayOptions): Promise<RunningGateway> {
  const running = new RunningGateway(t, { listenAddr: '127.0.0.1:0', ...options });
  const { listening } = await running.handle.ready;
  running.port = listening[0]?.port ?? 0;
  return running;
}

/** An HTTP server that answers with the path, or as the test says. @returns its URL */
export async function origin(
  t: Test,
  answer: (request: IncomingMessage, response: ServerResponse) => void = (request, response) =>
    response.end(request.url),
): Promise<string> {
  return served(t, createServer({ keepAliveTimeout: 60_000 }, answer));
}

/** Has a server listen on a port, or on the path of a Unix socket, until the test ends. @returns its URL, as upstreams have it */
export async function served(t: Test, server: Server, path?: string): Promise<string> {
  if (path === undefined) server.listen(0, '127.0.0.1');
  else server.listen(path);
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  return path === undefined ? `http://127.0.0.1:${(server.address() as AddressInfo).port}` : `unix:${path}`;
}

/** A kept connection of a client. */
export class Client {
  readonly socket: Socket;
  closed = false;
  #text = '';

  constructor(t: Test, at: number | string) {
    this.socket = typeof at === 'number' ? connect(at, '127.0.0.1') : connect(at);
    this.socket.on('data', (bytes) => {
      this.#text += bytes.toString('latin1');
    });
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => {
      this.closed = true;
    });
    t.teardown(() => this.socket.destroy());
  }

  send(path: string): void {
    this.socket.write(`GET ${path} HTTP/1.1\r\nHost: test\r\n\r\n`);
  }

  /** The next response, with a body of a known length. @throws if the connection ends before */
  async response(): Promise<{ status: number; head: string; body: string }> {
    const whole = () => /^HTTP\/1\.1 (\d+)[\s\S]*?\r\n\r\n/.exec(this.#text);
    const length = (head: string) => Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
    const isThere = () => {
      const found = whole();
      return found !== null && this.#text.length >= found[0].length + length(found[0]);
    };
    await until('a response', () => isThere() || this.closed);
    if (!isThere()) throw new Error(`closed after ${JSON.stringify(this.#text)}`);
    const [head, status] = whole()!;
    const end = head.length + length(head);
    const body = this.#text.slice(head.length, end);
    this.#text = this.#text.slice(end);
    return { status: Number(status), head, body };
  }

  async get(path: string): Promise<{ status: number; head: string; body: string }> {
    this.send(path);
    return this.response();
  }
}

/** @returns why a new connection is not served; undefined: it is connected */
export async function refusal(port: number): Promise<string | undefined> {
  const socket = connect(port, '127.0.0.1');
  const connected = once(socket, 'connect').then(() => undefined);
  const code = await connected.catch((error: NodeJS.ErrnoException) => error.code);
  socket.destroy();
  return code;
}
