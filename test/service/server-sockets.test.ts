import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { Agent, request as httpRequest } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { Fields } from 'mproxy-http';
import {
  type Body,
  type BodySink,
  HttpResponse,
  type HttpServerOptions,
  type HttpService,
  httpServer,
  type Outcome,
  Pending,
  type Serving,
  service,
  tcpServer,
} from 'mproxy-service';
import t, { type Test } from 'tap';
import { ENGINES } from '../net/engines.js';
import { residentMemory } from '../support/memory.js';
import { openSocket, tcpClient } from '../support/net.js';
import { Random } from '../support/random.js';
import { until } from '../support/wait.js';
import { ManualBody } from './memory-connection.js';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';
const post = (length: number) => `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${length}\r\n\r\n`;

/** Gives back the body of a request while it comes. */
const echo: HttpService = service((request) => new HttpResponse(200, new Fields(), request.body));

/** A body without an end, as fast as it is taken. */
class Endless implements Body {
  readonly length = undefined;
  static readonly piece = Buffer.alloc(32 * 1024, 'x');
  pushed = 0;
  #sink: BodySink | undefined;
  #paused = false;

  start(sink: BodySink): void {
    this.#sink = sink;
    this.#push();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#push();
  }

  cancel(): void {
    this.#sink = undefined;
  }

  /** A piece in each turn: others have theirs. */
  #push(): void {
    if (!this.#sink || this.#paused) return;
    this.pushed += Endless.piece.length;
    this.#sink.onData(Endless.piece);
    setImmediate(() => this.#push());
  }
}

interface Watched {
  server: Serving;
  port: number;
  outcomes: Outcome[];
}

async function serve(
  t: Test,
  streams: (typeof ENGINES)[number]['streams'],
  inner: HttpService,
  options: HttpServerOptions = {},
): Promise<Watched> {
  const outcomes: Outcome[] = [];
  const watched = service<
    Parameters<HttpService['call']>[0],
    HttpResponse,
    Parameters<HttpService['call']>[1]
  >((request, context) => {
    context.onDone((outcome) => outcomes.push(outcome));
    return inner.call(request, context);
  });
  const server = await tcpServer('127.0.0.1:0', { streams }).serve(httpServer(watched, options));
  t.teardown(() => server.cut());
  return { server, port: server.addresses[0]!.port, outcomes };
}

const descriptors = () => readdirSync('/proc/self/fd').length;

for (const { name, streams } of ENGINES) {
  t.test(name, async (t) => {
    t.test('16 MiB there and back in random pieces, with a slow reader', async (t) => {
      const random = new Random();
      t.comment(`SEED=${random.seed}`);
      const { port } = await serve(t, streams, echo);
      for (const chunked of [false, true]) {
        const size = 16 * 1024 * 1024;
        const client = httpRequest({
          port,
          host: '127.0.0.1',
          method: 'POST',
          headers: chunked ? {} : { 'content-length': size },
        });
        const sent = createHash('sha256');
        const received = createHash('sha256');
        const sending = (async () => {
          for (let left = size; left > 0; ) {
            const piece = randomBytes(Math.min(left, random.integer(1, 200_000)));
            left -= piece.length;
            sent.update(piece);
            if (!client.write(piece)) await once(client, 'drain');
          }
          client.end();
        })();
        const [response] = await once(client, 'response');
        t.equal(response.headers['content-length'], chunked ? undefined : String(size));
        let count = 0;
        for await (const piece of response) {
          received.update(piece);
          count += piece.length;
          if (random.integer(0, 20) === 0) await turn();
        }
        await sending;
        t.equal(count, size);
        t.equal(received.digest('hex'), sent.digest('hex'));
      }
    });

    t.test('node:http as a client, with kept connections', async (t) => {
      const { port, outcomes, server } = await serve(t, streams, echo);
      const agent = new Agent({ keepAlive: true, maxSockets: 4 });
      const one = async (i: number) => {
        const request = httpRequest({ port, host: '127.0.0.1', agent, method: 'POST', headers: { n: i } });
        request.end(`body ${i}`);
        const [response] = await once(request, 'response');
        let text = '';
        for await (const piece of response) text += piece;
        return text;
      };
      const texts = await Promise.all(Array.from({ length: 200 }, (_, i) => one(i)));
      t.strictSame(
        texts,
        texts.map((_, i) => `body ${i}`),
      );
      t.ok(outcomes.every(({ status, cut }) => status === 200 && cut === undefined));
      t.ok(server.connections.count <= 4);
      agent.destroy();
      await until('they are gone', () => server.connections.count === 0);
    });

    t.test('an early response to a large upload is delivered whole', async (t) => {
      const { port } = await serve(t, streams, echo, { limits: { body: 1000 } });
      const client = await tcpClient(t, port);
      client.socket.write(post(50_000_000));
      client.socket.write(Buffer.alloc(5_000_000));
      await until('its end', () => client.ended);
      t.match(String(client.bytes), /^HTTP\/1.1 413 .*\r\n[\s\S]*request body too long\n$/);
    });

    t.test('a response that is cut: reset where its end could be taken for complete', async (t) => {
      const bodies: ManualBody[] = [];
      const cutting = service(() => {
        bodies.push(new ManualBody());
        return new HttpResponse(200, new Fields(), bodies.at(-1)!);
      });
      const { port } = await serve(t, streams, cutting);
      const codes: unknown[] = [];
      for (const [i, version] of ['1.1', '1.0'].entries()) {
        const client = await tcpClient(t, port);
        client.socket.on('error', ({ code }: NodeJS.ErrnoException) => codes.push(version, code));
        client.socket.write(GET.replace('1.1', version));
        await until('its body', () => bodies.length > i);
        bodies[i]!.push('abc');
        await until('the beginning', () => String(client.bytes).includes('abc'));
        bodies[i]!.sink!.onError(new Error('upstream reset'));
        await until('its end', () => client.ended);
        t.notMatch(String(client.bytes), /\r\n0\r\n/);
      }
      t.strictSame(codes, ['1.0', 'ECONNRESET']);
    });

    for (const how of ['end', 'destroy', 'resetAndDestroy'] as const) {
      t.test(`a client that leaves by ${how}() is noticed while its request is served`, async (t) => {
        const answers: Pending<HttpResponse>[] = [];
        const waiting: HttpService = {
          call: () => {
            answers.push(new Pending());
            return answers.at(-1)!;
          },
        };
        const { port, outcomes } = await serve(t, streams, waiting);
        // With a body that nobody reads, reading is paused: the node engine does not look then.
        const sizes = name === 'linux' ? [0, 1000, 60_000] : [0, 1000];
        for (const size of sizes) {
          const socket = await openSocket(t, port);
          socket.on('error', () => undefined);
          socket.write(size === 0 ? GET : post(size + 1) + 'x'.repeat(size));
          await until('it is served', () => answers.length > outcomes.length);
          for (let i = 0; i < 5; i++) await turn();
          const { length } = outcomes;
          socket[how]();
          await until(`its end, with ${size} bytes`, () => outcomes.length > length);
          t.match(outcomes.at(-1), { status: 499, cut: 'client left' });
        }
      });
    }

    t.test('the time-outs of section 7, on sockets', async (t) => {
      const timeouts = { head: 300, idle: 300, body: 300, send: 500, linger: 200 };
      const endless: HttpService = service(({ path, body }) => {
        if (path === '/big') return new HttpResponse(200, new Fields(), new Endless());
        if (!body) return HttpResponse.text(200, 'x');
        body.start({ onData: () => undefined, onEnd: () => undefined, onError: () => undefined });
        return new Pending<HttpResponse>();
      });
      const { port, outcomes, server } = await serve(t, streams, endless, { timeouts });
      for (const [sent, received] of [
        ['', /^$/],
        ['GET / HT', /^HTTP\/1.1 408 /],
        [GET, /^HTTP\/1.1 200 [\s\S]*\r\n\r\nx$/],
        [`${post(10)}abc`, /^HTTP\/1.1 408 /],
      ] as const) {
        const client = await tcpClient(t, port);
        client.socket.write(sent);
        await until(`the end of ${JSON.stringify(sent)}`, () => client.ended);
        t.match(String(client.bytes), received);
      }
      const deaf = await openSocket(t, port);
      deaf.on('error', () => undefined).pause();
      deaf.write(GET.replace('/', '/big'));
      await until('it is cut', () => outcomes.some(({ cut }) => cut === 'the client takes nothing'));
      await until('nothing is left', () => server.connections.count === 0);
    });

    t.test(
      '1,000 clients that leave in the middle leave nothing behind',
      { skip: process.platform !== 'linux' && 'descriptors are counted in /proc' },
      async (t) => {
        let aborts = 0;
        const bodies: ManualBody[] = [];
        const mixed: HttpService = service(({ path, body }, context) => {
          context.onAbort(() => aborts++);
          if (path === '/wait') return new Pending<HttpResponse>();
          if (body) body.start({ onData: () => undefined, onEnd: () => undefined, onError: () => undefined });
          const part = new ManualBody();
          bodies.push(part);
          queueMicrotask(() => part.sink?.onData(Buffer.from('part')));
          return new HttpResponse(200, new Fields(), part);
        });
        const { port, outcomes, server } = await serve(t, streams, mixed);
        const before = descriptors();
        const kinds = [GET, GET.replace('/', '/wait'), `${post(100)}part`, GET + GET];
        for (let round = 0; round < 10; round++) {
          const sockets: Socket[] = [];
          for (let i = 0; i < 100; i++) {
            const socket = connect(port, '127.0.0.1').on('error', () => undefined);
            socket.write(kinds[i % 4]!);
            sockets.push(socket);
          }
          await until(
            'they are served',
            () => outcomes.length + server.connections.count === 100 * (round + 1),
          );
          await until(
            'all requests came',
            () => outcomes.length === 100 * round && bodies.length === 75 * (round + 1),
          );
          for (const [i, socket] of sockets.entries()) {
            if (i % 3 === 0) socket.resetAndDestroy();
            else socket.destroy();
          }
          await until('all have ended', () => outcomes.length === 100 * (round + 1));
        }
        t.equal(aborts, 1000);
        t.ok(outcomes.every(({ status }) => status === 499));
        t.ok(bodies.every(({ cancelled }) => cancelled));
        await until('no connection is left', () => server.connections.count === 0);
        await until('no descriptor is left', () => descriptors() <= before);
      },
    );

    t.test(
      '200 readers that take nothing need little memory',
      { skip: process.platform !== 'linux' && 'memory is read from /proc' },
      async (t) => {
        const bodies: Endless[] = [];
        const big = service(() => {
          bodies.push(new Endless());
          return new HttpResponse(200, new Fields(), bodies.at(-1)!);
        });
        const { port } = await serve(t, streams, big);
        const before = residentMemory(process.pid);
        const pushed = () => bodies.reduce((sum, one) => sum + one.pushed, 0);
        for (let i = 0; i < 200; i++) {
          const socket = await openSocket(t, port);
          socket.on('error', () => undefined).pause();
          socket.write(GET);
        }
        let last = -1;
        await until('all are stalled', async () => {
          const now = pushed();
          const isStill = bodies.length === 200 && now === last;
          last = now;
          await new Promise((resolve) => setTimeout(resolve, 50));
          return isStill;
        });
        const grown = residentMemory(process.pid) - before;
        t.ok(grown < 200 * 256 * 1024, `${grown} bytes for ${pushed()}`);
      },
    );
  });
}
