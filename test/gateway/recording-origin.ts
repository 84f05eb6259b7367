import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type Socket } from 'node:net';
import type { Test } from 'tap';
import { until } from '../support/wait.js';
import { chunksAt } from './answers.js';

/** A request as an origin reads it, by its own framing. */
export class Received {
  body = '';
  isComplete = false;

  constructor(
    readonly socket: Socket,
    readonly head: string,
    /** Its number on its connection, from 1. */
    readonly number: number,
  ) {}

  get method(): string {
    return this.head.slice(0, this.head.indexOf(' '));
  }

  get target(): string {
    return this.head.split(' ', 2)[1]!;
  }

  /** Method, target and body. */
  get shown(): string {
    return `${this.method} ${this.target} ${this.body}`.trim();
  }

  /** The values of a field's lines. */
  values(name: string): string[] {
    const lines = this.head.split('\r\n').slice(1);
    const found = lines.filter((line) => line.toLowerCase().startsWith(`${name.toLowerCase()}:`));
    return found.map((line) => line.slice(name.length + 1).trim());
  }

  answer(text: string): void {
    this.socket.write(text, 'latin1');
  }
}

/** Reads what comes on one connection. */
class Reader {
  #text = '';
  #current: Received | undefined;
  #count = 0;

  constructor(
    private readonly socket: Socket,
    private readonly origin: RecordingOrigin,
  ) {}

  add(bytes: Buffer): void {
    this.#text += bytes.toString('latin1');
    while (this.#step());
    this.origin.unread.set(this.socket, this.#current ? '' : this.#text);
  }

  #step(): boolean {
    if (!this.#current) {
      const end = this.#text.indexOf('\r\n\r\n') + 4;
      if (end < 4) return false;
      this.#current = new Received(this.socket, this.#text.slice(0, end), ++this.#count);
      this.#text = this.#text.slice(end);
      this.origin.requests.push(this.#current);
      this.origin.onHead(this.#current);
    }
    const one = this.#current;
    const { body, isComplete, next } = this.#bodyOf(one);
    one.body = body;
    if (!isComplete) return false;
    one.isComplete = true;
    this.#text = this.#text.slice(next);
    this.#current = undefined;
    this.origin.onRequest(one);
    return true;
  }

  #bodyOf(one: Received) {
    if (one.values('transfer-encoding').length > 0) return chunksAt(this.#text, 0);
    const length = Number(one.values('content-length')[0] ?? 0);
    return { body: this.#text.slice(0, length), isComplete: this.#text.length >= length, next: length };
  }
}

/** An origin that records all that reaches it, and answers as a test says; with what it has read, if that says nothing. */
export class RecordingOrigin {
  readonly requests: Received[] = [];
  readonly sockets: Socket[] = [];
  /** Bytes that are no whole head. */
  readonly unread = new Map<Socket, string>();
  onConnection: (socket: Socket) => void = () => undefined;
  /** A head is there. */
  onHead: (received: Received) => void = (received) => {
    if (received.values('expect').length > 0) received.answer('HTTP/1.1 100 Continue\r\n\r\n');
  };
  /** All of a request is there. */
  onRequest: (received: Received) => void = (received) => {
    const length = received.shown.length;
    const body = received.method === 'HEAD' ? '' : received.shown;
    received.answer(`HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n${body}`);
  };
  port = 0;

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get open(): number {
    return this.sockets.filter((socket) => !socket.destroyed).length;
  }

  /** The whole requests, sorted. */
  get shown(): string[] {
    return this.requests
      .filter(({ isComplete }) => isComplete)
      .map(({ shown }) => shown)
      .sort();
  }

  async received(count = 1): Promise<Received> {
    await until(`${count} requests`, () => this.requests.length >= count);
    return this.requests[count - 1]!;
  }

  accept(socket: Socket): void {
    const reader = new Reader(socket, this);
    this.sockets.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => reader.add(bytes));
    socket.on('end', () => socket.end());
    this.onConnection(socket);
  }
}

export async function recordingOrigin(t: Test): Promise<RecordingOrigin> {
  const origin = new RecordingOrigin();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => origin.accept(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  origin.port = (server.address() as AddressInfo).port;
  t.teardown(() => {
    server.close();
    for (const socket of origin.sockets) socket.destroy();
  });
  return origin;
}
