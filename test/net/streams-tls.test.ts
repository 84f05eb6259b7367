import { randomBytes, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { connect as connectTls, createServer, type TLSSocket } from 'node:tls';
import type { ListenOptions, TlsClient, TlsServer } from 'mproxy-net';
import { StreamConnection } from 'mproxy-net/linux/streams/connection';
import t, { type Test } from 'tap';
import { Authority } from '../support/certificates.js';
import { until } from '../support/wait.js';
import { Log, listen, nodeServer, readAll, tlsServer } from './connections.js';
import { ENGINES } from './engines.js';

const at = (port: number) => ({ address: '127.0.0.1', port });

for (const { name, streams } of ENGINES) {
  t.test(name, async (t) => {
    const authority = await Authority.make(t);
    const pair = await authority.sign({ dns: ['one.test'], ips: ['127.0.0.1'] });
    const trust = { credentials: { ca: authority.pem }, insecure: false };
    const client = (more: Partial<TlsClient> = {}): TlsClient => ({
      ...trust,
      serverName: 'one.test',
      ...more,
    });
    const open = (t: Test, tls: Partial<TlsServer> = {}, more: Partial<ListenOptions> = {}) =>
      listen(t, streams, { tls: { pairs: [pair], ...tls }, ...more });

    t.test('bytes pass both ways, and both ends know what was agreed upon', async (t) => {
      const two = await authority.sign({ dns: ['two.test'] });
      const { logs, port } = await open(t, { pairs: [pair, two], alpn: ['echo', 'other'] });
      const connection = await streams.connect({
        to: at(port),
        tls: client({ serverName: 'two.test', alpn: ['other'] }),
      });
      t.teardown(() => connection.close());
      const log = new Log(connection).start();
      log.connection.write([Buffer.from('hel'), Buffer.from('lo')]);
      await until('they arrive', () => logs[0]?.text === 'hello');
      const facts = { version: 'TLSv1.3', serverName: 'two.test', alpn: 'other', resumed: false };
      const der = new X509Certificate(two.cert).raw;
      t.strictSame(connection.tls, { ...facts, peerCertificate: der, pair: undefined, clientCa: undefined });
      t.strictSame(logs[0]!.connection.tls, {
        ...facts,
        peerCertificate: undefined,
        pair: 1,
        clientCa: undefined,
      });
      if (name === 'linux')
        for (const end of [connection, logs[0]!.connection])
          t.type(end, StreamConnection, 'not the other engine');
    });

    t.test('a session is resumed, and said to be', async (t) => {
      const { logs, port } = await open(t);
      let session: Buffer | undefined;
      for (let i = 0; i < 2; i++) {
        const options = { host: '127.0.0.1', port, ca: authority.pem, servername: 'one.test' };
        const socket = connectTls({ ...options, ...(session && { session }) });
        socket.on('session', (ticket) => {
          session = ticket;
        });
        await until('it is accepted, and has a ticket', () => logs.length === i + 1 && session !== undefined);
        socket.destroy();
      }
      t.strictSame(
        logs.map(({ connection }) => connection.tls?.resumed),
        [false, true],
      );
    });

    t.test(
      'bursts of all sizes about that of a read arrive whole, though nothing comes behind them',
      async (t) => {
        const { logs, port } = await open(t);
        const options = { host: '127.0.0.1', port, ca: authority.pem, servername: 'one.test' };
        const socket = connectTls(options);
        t.teardown(() => socket.destroy());
        await until('it is accepted', () => logs.length === 1);
        const [log] = logs;
        let sent = 0;
        const burst = async (...pieces: number[]) => {
          socket.cork();
          for (const size of pieces) {
            socket.write(Buffer.alloc(size, 'x'));
            sent += size;
          }
          socket.uncork();
          // Hundreds of bursts: looking every few milliseconds would take seconds.
          for (const end = performance.now() + 10_000; log!.bytes !== sent && performance.now() < end; )
            await turn();
          if (log!.bytes !== sent) t.fail(`${log!.bytes} of ${sent} bytes, in ${pieces.length} pieces`);
          log!.chunks.length = 0;
          sent = 0;
        };
        const few = Array.from({ length: 200 }, () => 1);
        for (let last = 1; last < 700; last++) await burst(16_000, last, 5);
        // Records of one byte have more around them than in them.
        for (let last = 1; last < 300; last++) await burst(11_500, ...few, last, 5);
        t.equal(log!.connection.tls!.version, 'TLSv1.3');
      },
    );

    t.test('what an offer did not take need not be sent', async (t) => {
      const { logs, port } = await open(t);
      const options = { host: '127.0.0.1', port, ca: authority.pem, servername: 'one.test' };
      const socket = connectTls(options).pause();
      t.teardown(() => socket.destroy());
      await until('it is accepted', () => logs.length === 1);
      const { connection } = logs[0]!;
      const block = randomBytes(1_000_000);
      const sent: Buffer[] = [];
      for (let taken = block.length; taken === block.length; ) {
        taken = connection.offer(block);
        sent.push(block.subarray(0, taken));
      }
      const last = Buffer.from('something else');
      connection.write([last]);
      connection.end();
      t.ok((await readAll(socket)).equals(Buffer.concat([...sent, last])), `${sent.length} offers`);
    });

    t.test('certificates that do not fit are refused by name', async (t) => {
      const { port } = await open(t);
      const other = await Authority.make(t, 'another');
      const wrong = client({ serverName: 'three.test' });
      await t.rejects(streams.connect({ to: at(port), tls: wrong }), {
        code: 'ERR_TLS_CERT_ALTNAME_INVALID',
      });
      const unknown = client({ credentials: { ca: other.pem } });
      await t.rejects(streams.connect({ to: at(port), tls: unknown }), {
        code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      });
      const connection = await streams.connect({ to: at(port), tls: { ...unknown, insecure: true } });
      t.equal(connection.tls?.peerCertificate, undefined, 'not verified');
      connection.close();
    });

    t.test('a name that is none of a host is refused: to OpenSSL it could be that of many', async (t) => {
      const { port } = await open(t);
      for (const serverName of ['.test', 'one.test\0.example'])
        await t.rejects(
          streams.connect({ to: at(port), tls: client({ serverName }) }),
          JSON.stringify(serverName),
        );
    });

    t.test('many small buffers, and one more while the first are blocked, arrive in order', async (t) => {
      const { logs, port } = await open(t);
      const connection = await streams.connect({ to: at(port), tls: client() });
      t.teardown(() => connection.close());
      const log = new Log(connection).start();
      await until('it is accepted', () => logs.length === 1);
      const [{ connection: reader }] = logs as [Log];
      reader.pause();
      const piece = Array.from({ length: 4096 }, (_, i) => Buffer.from([i & 255, i >> 8]));
      let written = 0;
      let room = true;
      for (; room; written += 2 * piece.length) {
        room = connection.write(piece);
        await turn();
      }
      connection.write([Buffer.from('.')]);
      connection.end();
      reader.resume();
      await logs[0]!.has('end');
      t.equal(logs[0]!.bytes, written + 1);
      const got = Buffer.concat(logs[0]!.chunks);
      const sent = Buffer.concat(piece);
      t.ok(got.subarray(0, sent.length).equals(sent));
      t.ok(got.subarray(-sent.length - 1, -1).equals(sent));
      t.equal(log.error, undefined);
    });

    t.test('a client without a certificate is refused where one is needed', async (t) => {
      const errors: Error[] = [];
      const { logs, port } = await open(
        t,
        { clientCa: authority.pem },
        { onHandshakeError: (error) => errors.push(error) },
      );
      await t.rejects(streams.connect({ to: at(port), tls: client({ untilAccepted: true }) }));
      await until('both ends know', () => errors.length === 1);
      t.equal(logs.length, 0);
      const mine = await authority.sign({ dns: ['me.test'] });
      const credentials = { ca: authority.pem, pair: mine };
      const accepted = await streams.connect({
        to: at(port),
        tls: client({ credentials, untilAccepted: true }),
      });
      t.teardown(() => accepted.close());
      await until('it is accepted', () => logs.length === 1);
      const { raw } = new X509Certificate(mine.cert);
      t.ok(logs[0]!.connection.tls?.peerCertificate?.equals(raw));
    });

    t.test('a handshake that the peer never begins is limited, and counted as a connection', async (t) => {
      const { port: silent } = await nodeServer(t);
      await t.rejects(streams.connect({ to: at(silent), tls: client(), timeout: 50 }), { code: 'ETIMEDOUT' });
      const { listener, port } = await open(t);
      const plain = await streams.connect({ to: at(port) });
      const log = new Log(plain).start();
      await until('it counts', () => listener.connections === 1);
      listener.closeConnections();
      await until('it is closed', () => listener.connections === 0 && log.events.length > 0);
    });

    t.test('other certificates for connections accepted from now on', async (t) => {
      const { listener, logs, port } = await open(t);
      const old = await streams.connect({ to: at(port), tls: client() });
      t.teardown(() => old.close());
      const renewed = await authority.sign({ dns: ['one.test', 'new.test'] });
      listener.secure({ pairs: [renewed] });
      const fresh = await streams.connect({ to: at(port), tls: client({ serverName: 'new.test' }) });
      t.teardown(() => fresh.close());
      t.ok(fresh.tls?.peerCertificate?.equals(new X509Certificate(renewed.cert).raw));
      old.write([Buffer.from('still')]);
      await until('the old one goes on', () => logs[0]!.text === 'still');
    });

    t.test('closed after its end, the peer has everything and no truncation', async (t) => {
      const { port, sockets } = await tlsServer(t, pair);
      const connection = await streams.connect({ to: at(port), tls: client() });
      const log = new Log(connection).start();
      await until('its peer', () => sockets.length === 1);
      const received = readAll(sockets[0]!);
      const block = Buffer.alloc(1024 * 1024, 'b');
      if (!connection.write([block])) await log.has('drain');
      connection.end();
      connection.close();
      t.ok((await received).equals(block));
      await log.has('close');
      t.equal(log.error, undefined);
    });

    t.test('an abort resets below TLS, on either side', async (t) => {
      // libuv reports a reset as the end where it comes with bytes (uv__stream_io): all are read before.
      const readByte = (socket: TLSSocket) => once(socket, 'data');
      const { port, sockets } = await tlsServer(t, pair);
      const connection = await streams.connect({ to: at(port), tls: client() });
      const log = new Log(connection).start();
      await until('its peer', () => sockets.length === 1);
      connection.write([Buffer.from('x')]);
      await readByte(sockets[0]!);
      const failed = once(sockets[0]!, 'error');
      connection.abort();
      t.equal((await failed)[0].code, 'ECONNRESET');
      await log.has('close');
      const { logs, port: ours } = await open(t);
      const socket = connectTls({ host: '127.0.0.1', port: ours, ca: authority.pem, servername: 'one.test' });
      await until('it is accepted', () => logs.length === 1);
      logs[0]!.connection.write([Buffer.from('x')]);
      await readByte(socket);
      const reset = once(socket, 'error');
      logs[0]!.connection.abort();
      t.equal((await reset)[0].code, 'ECONNRESET');
    });

    t.test('half-closed by close_notify, the other direction goes on', async (t) => {
      const { logs, port } = await open(t);
      const log = new Log(await streams.connect({ to: at(port), tls: client() })).start();
      log.connection.write([Buffer.from('question')]);
      log.connection.end();
      await until('it ended', () => logs[0]?.events.includes('end') === true);
      t.equal(logs[0]!.text, 'question');
      logs[0]!.connection.write([Buffer.from('answer')]);
      logs[0]!.connection.end();
      await log.has('close');
      t.strictSame([log.text, log.error], ['answer', undefined]);
    });

    t.test('closed or paused while bytes and the end are there, it delivers neither', async (t) => {
      for (const act of ['close', 'abort', 'pause'] as const) {
        const { port, sockets } = await tlsServer(t, { ...pair, allowHalfOpen: true });
        const log = new Log(await streams.connect({ to: at(port), tls: client() }));
        const keep = log.onData.bind(log);
        log.onData = (bytes) => {
          keep(bytes);
          log.connection[act]();
        };
        await until('its peer', () => sockets.length === 1);
        sockets[0]!.end(Buffer.alloc(60_000));
        log.start();
        await until('the first bytes', () => log.bytes > 0);
        const before = log.bytes;
        for (let i = 0; i < 50; i++) await turn();
        t.equal(log.bytes, before, act);
        t.notOk(log.events.includes('end'), act);
        log.onData = keep;
        if (act === 'pause') log.connection.resume();
        if (act === 'pause') await log.has('end');
        t.equal(log.bytes, act === 'pause' ? 60_000 : before);
        log.connection.close();
        await log.has('close');
        log.connection.linger(60_000);
      }
    });

    t.test(
      'paused while both directions end, it tells of the end, then of the close, once it goes on',
      async (t) => {
        for (const act of ['resume', 'close', 'abort'] as const) {
          const { port, sockets } = await tlsServer(t, { ...pair, allowHalfOpen: true });
          const log = new Log(await streams.connect({ to: at(port), tls: client() })).start();
          await until('its peer', () => sockets.length === 1);
          sockets[0]!.write('last words');
          await until('they arrive', () => log.text === 'last words');
          log.connection.pause();
          sockets[0]!.end();
          log.connection.end();
          await until('the peer has both ends', () => sockets[0]!.closed);
          for (let i = 0; i < 50; i++) await turn();
          t.strictSame(log.events, [], act);
          log.connection[act]();
          await log.has('close');
          t.strictSame(
            [log.events, log.error],
            [act === 'resume' ? ['end', 'close'] : ['close'], undefined],
            act,
          );
        }
      },
    );

    const onNode = (why: string) => ({ skip: name === 'node' && why });

    // A reset would discard the alert.
    t.test('a refused client that sends already reads why', onNode('node:tls resets'), async (t) => {
      const errors: Error[] = [];
      const { listener, port } = await open(
        t,
        { clientCa: authority.pem },
        { onHandshakeError: (error) => errors.push(error) },
      );
      const socket = connectTls({ host: '127.0.0.1', port, ca: authority.pem, servername: 'one.test' });
      socket.write(Buffer.alloc(100_000));
      const failed = once(socket, 'error');
      await until('it is refused', () => errors.length === 1);
      t.match(errors[0], { code: 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE' });
      t.match((await failed)[0], { code: 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED' });
      await until('it is closed', () => listener.connections === 0);
    });

    t.test('an end without close_notify is a reset', async (t) => {
      const { logs, port } = await open(t);
      const raw = connect(port, '127.0.0.1');
      const socket = connectTls({ socket: raw, ca: authority.pem, servername: 'one.test' });
      socket.on('error', () => undefined);
      socket.write('cut');
      await until('it arrives', () => logs[0]?.text === 'cut');
      raw.destroy();
      await logs[0]!.has('close');
      t.strictSame([logs[0]!.code, logs[0]!.events], ['ECONNRESET', ['close']]);
    });

    t.test('invalid credentials open nothing', async (t) => {
      const { port, sockets } = await nodeServer(t);
      const credentials = { ca: authority.pem, pair: { cert: 'none', key: 'none' } };
      await t.rejects(streams.connect({ to: at(port), tls: client({ credentials }) }), /PEM|no start line/);
      for (let i = 0; i < 50; i++) await turn();
      t.equal(sockets.length, 0);
    });

    t.test('TLS starts on an open connection, after words in the clear', async (t) => {
      const { port, sockets } = await nodeServer(t);
      const connection = await streams.connect({ to: at(port) });
      let secured: Promise<Log> | undefined;
      const clear = new Log(connection);
      clear.onData = () => {
        secured = connection.secure(client()).then((secure) => new Log(secure).start());
      };
      clear.start();
      await until('its peer', () => sockets.length === 1);
      sockets[0]!.write('start TLS\n');
      const server = createServer(pair);
      const greeting = once(server, 'secureConnection') as Promise<[TLSSocket]>;
      server.emit('connection', sockets[0] as Socket);
      const [peer] = await greeting;
      peer.write('secret');
      const log = await secured!;
      await until('it arrives', () => log.text === 'secret');
      t.equal(log.connection.tls?.version, 'TLSv1.3');
      if (name === 'linux') t.type(log.connection, StreamConnection, 'not the other engine');
      log.connection.write([Buffer.from('safe')]);
      t.equal(String((await once(peer, 'data'))[0]), 'safe');
      for (let i = 0; i < 20; i++) await turn();
      t.strictSame(clear.events, [], 'the handler in the clear is called no more');
      log.connection.close();
    });
  });
}
