import { createServer, type Server, type Socket } from 'node:net';
import type { Test } from 'tap';
import { until } from '../support/wait.js';

/** A request as it came, as text: its head with the empty line, and what came of its body. */
export class Visit {
  text = '';
  #head = '';

  constructor(
    readonly socket: Socket,
    /** Its number on its connection, from 1. */
    readonly number: number,
  ) {}

  /** Empty until it is whole. Looked for no longer then: of a long text that takes long. */
  get head(): string {
    if (this.#head !== '') return this.#head;
    const end = this.text.indexOf('\r\n\r\n');
    if (end >= 0) this.#head = this.text.slice(0, end + 4);
    return this.#head;
  }

  get body(): string {
    return this.text.slice(this.head.length);
  }

  /** The lines of a field, with their names. */
  lines(name: string): string[] {
    return this.head.split('\r\n').filter((line) => line.toLowerCase().startsWith(`${name}:`));
  }

  async has(text: string): Promise<this> {
    await until(`${text} in the request`, () => this.text.includes(text));
    return this;
  }

  answer(text: string): void {
    this.socket.write(text, 'latin1');
  }
}

/** An HTTP server that does what a test says, byte by byte. It knows no framing: a request ends when the next one begins. */
export class Origin {
  readonly visits: Visit[] = [];
  readonly sockets: Socket[] = [];
  /** Called when the head of a request is there. */
  onVisit: (visit: Visit) => void = (visit) => visit.answer('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
  onConnection: (socket: Socket) => void = () => undefined;
  port = 0;

  constructor(readonly server: Server) {}

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get open(): number {
    return this.sockets.filter((socket) => !socket.destroyed).length;
  }

  async visited(count = 1): Promise<Visit> {
    await until(`${count} requests`, () => this.visits.length >= count);
    return this.visits[count - 1]!;
  }

  accept(socket: Socket): void {
    this.sockets.push(socket);
    socket.on('error', () => undefined);
    let count = 0;
    let visit: Visit | undefined;
    socket.on('data', (bytes) => {
      const text = bytes.toString('latin1');
      if (!visit || (/^[A-Z]+ \S+ HTTP\/1\.1\r\n/.test(text) && visit.head !== '')) {
        count++;
        visit = new Visit(socket, count);
        this.visits.push(visit);
      }
      const isNew = visit.head === '';
      visit.text += text;
      if (isNew && visit.head !== '') this.onVisit(visit);
    });
    socket.on('end', () => socket.end());
    this.onConnection(socket);
  }
}

/** @param at a port of 127.0.0.1, another address, or the path of a Unix socket */
export async function origin(
  t: Test,
  at: { host?: string; port?: number; path?: string } = {},
): Promise<Origin> {
  const server = createServer({ allowHalfOpen: true }, (socket) => made.accept(socket));
  const made = new Origin(server);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(at.path === undefined ? { host: '127.0.0.1', port: 0, ...at } : { path: at.path }, resolve);
  });
  const address = server.address();
  if (address && typeof address === 'object') made.port = address.port;
  t.teardown(() => {
    server.close();
    for (const socket of made.sockets) socket.destroy();
  });
  return made;
}

/** The head of a response with a body of this text. */
export function ok(text: string, fields = ''): string {
  return `HTTP/1.1 200 OK\r\n${fields}Content-Length: ${text.length}\r\n\r\n${text}`;
}
