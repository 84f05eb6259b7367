import { once } from 'node:events';
import { connect } from 'node:tls';
import type { Connection } from 'mproxy-net';
import {
  Connections,
  Context,
  HttpResponse,
  httpServer,
  Pending,
  type Service,
  service,
  tcpServer,
} from 'mproxy-service';
import t from 'tap';
import { ENGINES } from '../net/engines.js';
import { Authority } from '../support/certificates.js';
import { openSocket, tcpClient } from '../support/net.js';
import { until } from '../support/wait.js';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';

/** Passes back what it receives. */
const echo: Service<Connection, void> = service((connection) => {
  const done = new Pending<void>();
  connection.start({
    onData: (bytes) => void connection.write([Buffer.from(bytes)]),
    onEnd: () => connection.end(),
    onClose: () => done.resolve(),
  });
  return done;
});

for (const { name, streams } of ENGINES) {
  t.test(name, async (t) => {
    t.test('serves each connection, on every address of a name', async (t) => {
      const server = await tcpServer('localhost:0', { streams }).serve(echo);
      t.teardown(() => server.cut());
      t.ok(server.addresses.length >= 1);
      for (const { address, port } of server.addresses) {
        const client = await tcpClient(t, port, address);
        client.socket.end('hello');
        await once(client.socket, 'close');
        t.equal(String(client.bytes), 'hello');
      }
      await until('they are done', () => server.connections.count === 0);
      t.strictSame(
        server.names,
        server.addresses.map(({ address, port }) =>
          address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`,
        ),
      );
    });

    t.test('TLS: services get what the handshake agreed upon, and other certificates are used', async (t) => {
      const authority = await Authority.make(t);
      const pair = await authority.sign({ dns: ['a.test'] });
      const failed: string[] = [];
      const server = await tcpServer('127.0.0.1:0', {
        ...{ streams, tls: { pairs: [pair], alpn: ['echo'] }, handshakeTimeout: 200 },
        onHandshakeError: (_error, peer) => failed.push(peer!.address),
      }).serve(
        service((connection, { tls }) => {
          const done = new Pending<void>();
          connection.start({
            onData: () => undefined,
            onEnd: () => connection.end(),
            onClose: () => done.resolve(),
          });
          connection.write([Buffer.from(`${tls?.serverName} ${tls?.alpn} ${tls?.pair}`)]);
          return done;
        }),
      );
      t.teardown(() => server.cut());
      const { port } = server.addresses[0]!;
      const trust = {
        port,
        host: '127.0.0.1',
        servername: 'a.test',
        ca: authority.pem,
        ALPNProtocols: ['echo'],
      };
      const connected = async () => {
        const socket = connect(trust);
        t.teardown(() => socket.destroy());
        const [bytes] = await once(socket, 'data');
        const { serialNumber: serial } = socket.getPeerCertificate();
        socket.end();
        return { text: String(bytes), serial };
      };
      const first = await connected();
      t.equal(first.text, 'a.test echo 0');
      server.secure({ pairs: [await authority.sign({ dns: ['a.test'] })] });
      t.not((await connected()).serial, first.serial);
      await tcpClient(t, port);
      await until('it is reported', () => failed.length === 1);
      t.strictSame(failed, ['127.0.0.1']);
    });

    t.test('an address that cannot be read, or is taken', async (t) => {
      await t.rejects(tcpServer('localhost', { streams }).serve(echo), { code: 'MPROXY_USAGE' });
      const server = await tcpServer('127.0.0.1:0', { streams }).serve(echo);
      t.teardown(() => server.cut());
      await t.rejects(tcpServer(server.names[0]!, { streams }).serve(echo), { code: 'EADDRINUSE' });
    });

    t.test('a service that throws, rejects or is done: its connection is closed', async (t) => {
      const errors: unknown[] = [];
      const contexts: (Context | undefined)[] = [];
      let calls = 0;
      const failing = service((): Promise<void> | undefined => {
        if (calls++ === 0) throw new Error('thrown');
        return calls === 2 ? Promise.reject(new Error('rejected')) : undefined;
      });
      const onError = (error: unknown, context: Context | undefined) =>
        errors.push(error) + contexts.push(context);
      const server = await tcpServer('127.0.0.1:0', { streams, onError }).serve(
        failing as Service<Connection, void>,
      );
      t.teardown(() => server.cut());
      for (let i = 0; i < 3; i++) {
        const socket = await openSocket(t, server.addresses[0]!.port);
        let closed = false;
        socket.on('error', () => undefined).on('close', () => (closed = true));
        socket.resume();
        await until('it is closed', () => closed);
      }
      t.match(errors, [{ message: 'thrown' }, { message: 'rejected' }]);
      t.match(contexts, [{ listener: server.names[0] }, Context]);
      t.equal(server.connections.count, 0);
    });

    t.test('a full server closes its longest idle connection for a new one', async (t) => {
      const connections = new Connections(2);
      const ok = httpServer(service(() => HttpResponse.text(200, 'x')));
      const server = await tcpServer('127.0.0.1:0', { streams, connections }).serve(ok);
      t.teardown(() => server.cut());
      const { port } = server.addresses[0]!;
      const first = await tcpClient(t, port);
      first.socket.write(GET);
      await first.has(10);
      const second = await tcpClient(t, port);
      second.socket.write(GET);
      await second.has(10);
      first.socket.write(GET);
      await first.has(200);
      const third = await tcpClient(t, port);
      third.socket.write(GET);
      await third.has(10);
      await until('the second one is closed', () => second.ended);
      t.notOk(first.ended);
      t.ok(connections.count <= 2);
    });

    t.test('where none is idle, new ones wait until there is room', async (t) => {
      const connections = new Connections(2);
      const answers: Pending<HttpResponse>[] = [];
      const slow = httpServer({
        call: () => {
          answers.push(new Pending());
          return answers.at(-1)!;
        },
      });
      const server = await tcpServer('127.0.0.1:0', { streams, connections }).serve(slow);
      t.teardown(() => server.cut());
      const { port } = server.addresses[0]!;
      const clients = [];
      for (let i = 0; i < 5; i++) {
        const client = await tcpClient(t, port);
        client.socket.write(GET);
        clients.push(client);
        if (i < 2) await until('it is served', () => answers.length === i + 1);
      }
      for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
      t.equal(answers.length, 2);
      for (let i = 0; i < 5; i++) {
        await until(`request ${i}`, () => answers.length > i);
        answers[i]!.resolve(HttpResponse.text(200, 'x'));
      }
      for (const client of clients) await client.has(10);
      t.ok(connections.count <= 2);
    });

    t.test('drain: those that wait to be accepted are served, not reset', async (t) => {
      const answers: Pending<HttpResponse>[] = [];
      const slow = httpServer({
        call: () => {
          answers.push(new Pending());
          return answers.at(-1)!;
        },
      });
      const connections = new Connections(1);
      const server = await tcpServer('127.0.0.1:0', { streams, connections }).serve(slow);
      t.teardown(() => server.cut());
      const clients: Awaited<ReturnType<typeof tcpClient>>[] = [];
      for (let i = 0; i < 5; i++) {
        const client = await tcpClient(t, server.addresses[0]!.port);
        client.socket.write(GET);
        clients.push(client);
        if (i === 0) await until('it is served', () => answers.length === 1);
      }
      const cut = server.drain(10_000);
      for (const [i, client] of clients.entries()) {
        await until(`request ${i}`, () => answers.length > i);
        answers[i]!.resolve(HttpResponse.text(200, 'late'));
        await until('its response', () => /Connection: close[\s\S]*late$/.test(String(client.bytes)));
        client.socket.end();
      }
      t.equal(await cut, 0);
    });

    t.test('drain: a request that a kept connection has sent already is answered', async (t) => {
      const quick = httpServer(service(() => HttpResponse.text(200, 'x')));
      const server = await tcpServer('127.0.0.1:0', { streams }).serve(quick);
      const client = await tcpClient(t, server.addresses[0]!.port);
      client.socket.write(GET);
      await until('it is idle', () => server.connections.idle === 1);
      const { length } = client;
      client.socket.write(GET);
      const cut = server.drain(10_000);
      await until('its end', () => client.ended);
      t.match(String(client.bytes.subarray(length)), /^HTTP\/1.1 200[\s\S]*Connection: close/);
      client.socket.end();
      t.equal(await cut, 0);
    });

    t.test('drain: idle ones close, the others have the grace, then they are cut and counted', async (t) => {
      const answers: Pending<HttpResponse>[] = [];
      const slow = httpServer(
        service(({ path }) => {
          if (path === '/') return HttpResponse.text(200, 'x');
          answers.push(new Pending());
          return answers.at(-1)!;
        }),
      );
      for (const isAnswered of [true, false]) {
        answers.length = 0;
        const server = await tcpServer('127.0.0.1:0', { streams }).serve(slow);
        const { port } = server.addresses[0]!;
        const idle = await tcpClient(t, port);
        idle.socket.write(GET);
        await idle.has(10);
        const busy = await tcpClient(t, port);
        busy.socket.write(GET.replace('/', '/slow'));
        await until('it is served', () => answers.length === 1);
        const cut = server.drain(isAnswered ? 10_000 : 100);
        await until('the idle one ends', () => idle.ended);
        idle.socket.end();
        if (isAnswered) {
          answers[0]!.resolve(HttpResponse.text(200, 'late'));
          await until('its response', () => /Connection: close[\s\S]*late$/.test(String(busy.bytes)));
          await until('its end', () => busy.ended);
          busy.socket.end();
        }
        t.equal(await cut, isAnswered ? 0 : 1);
        await until('all are gone', () => server.connections.count === 0);
        if (!isAnswered) t.equal(busy.length, 0);
        await t.rejects(tcpClient(t, port), { code: 'ECONNREFUSED' });
      }
    });
  });
}
