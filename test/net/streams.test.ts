import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import type { Connection } from 'mproxy-net';
import { StreamConnection } from 'mproxy-net/linux/streams/connection';
import t from 'tap';
import { Random } from '../support/random.js';
import { until } from '../support/wait.js';
import { Log, listen, nodeServer, pair, readAll } from './connections.js';
import { ENGINES } from './engines.js';

for (const { name, streams } of ENGINES) {
  t.test(name, async (t) => {
    t.test('bytes pass both ways, and both ends know their addresses', async (t) => {
      const { logs, port } = await listen(t, streams);
      const connection = await streams.connect({ to: { address: '127.0.0.1', port } });
      const log = new Log(connection).start();
      t.ok(connection.write([Buffer.from('one '), Buffer.from('two')]), 'an empty socket takes it at once');
      await until('they arrive', () => logs[0]?.text === 'one two');
      logs[0]!.connection.write([Buffer.from('back')]);
      await until('and the answer', () => log.text === 'back');
      t.strictSame(connection.peer, { address: '127.0.0.1', port });
      t.strictSame(connection.peer, logs[0]!.connection.local);
      t.strictSame(connection.local, logs[0]!.connection.peer);
      t.equal(connection.received, 4);
      t.equal(connection.tls, undefined);
      if (name === 'linux')
        for (const end of [connection, logs[0]!.connection])
          t.type(end, StreamConnection, 'not the other engine');
      connection.close();
      await log.has('close');
      t.equal(log.error, undefined);
      await logs[0]!.has('end');
    });

    for (const first of ['this side', 'the peer']) {
      t.test(`${first} ends first: the other direction goes on`, async (t) => {
        const { log, peer } = await pair(t, streams);
        const received = readAll(peer);
        if (first === 'the peer') {
          peer.end('last words');
          await log.has('end');
          t.notOk(log.events.includes('close'));
        }
        log.connection.write([Buffer.from('mine')]);
        log.connection.end();
        t.equal(String(await received), 'mine');
        if (first === 'this side') {
          t.notOk(log.events.includes('close'));
          peer.end('last words');
        }
        await log.has('close');
        t.strictSame([log.text, log.error, log.events], ['last words', undefined, ['end', 'close']]);
      });
    }

    t.test('a peer that reads nothing holds up writes, and what was written stays whole', async (t) => {
      const { log, peer } = await pair(t, streams);
      const block = randomBytes(256 * 1024);
      let written = 0;
      while (log.connection.write([block])) written += block.length;
      written += block.length;
      t.ok(log.connection.writing);
      t.ok(written < 64 * 1024 * 1024, `${written} bytes until it was full`);
      t.strictSame(log.events, []);
      const received = readAll(peer);
      await log.has('drain');
      t.notOk(log.connection.writing);
      log.connection.end();
      const whole = await received;
      t.equal(whole.length, written);
      for (let at = 0; at < written; at += block.length)
        if (!whole.subarray(at, at + block.length).equals(block)) t.fail(`wrong bytes at ${at}`);
      t.strictSame(log.events, ['drain']);
    });

    t.test(
      '32 MiB both ways at once in random chunks, with pauses, from memory that is reused',
      async (t) => {
        const random = new Random();
        t.comment(`SEED=${random.seed}`);
        const next = (limit: number) => random.integer(0, limit - 1);
        const { logs, port } = await listen(t, streams);
        const connection = await streams.connect({ to: { address: '127.0.0.1', port } });
        const log = new Log(connection).start();
        await until('it is accepted', () => logs.length === 1);
        const send = async ({ connection, events }: Log) => {
          const memory = Buffer.alloc(300_000);
          const hash = createHash('sha256');
          for (let left = 32 * 1024 * 1024; left > 0; ) {
            const bytes = memory.subarray(0, Math.min(left, 1 + next(memory.length)));
            bytes.fill(next(256));
            hash.update(bytes);
            left -= bytes.length;
            const cut = next(bytes.length);
            events.length = 0;
            if (!connection.write([bytes.subarray(0, cut), bytes.subarray(cut)]))
              await until('room', () => events.includes('drain'));
          }
          connection.end();
          return hash.digest('hex');
        };
        const pauses = setInterval(() => {
          const { connection } = next(2) === 0 ? log : logs[0]!;
          connection.pause();
          setImmediate(() => connection.resume());
        }, 1);
        const sums = await Promise.all([send(log), send(logs[0]!)]);
        await Promise.all([log.has('close'), logs[0]!.has('close')]);
        clearInterval(pauses);
        const received = [logs[0]!, log].map(({ chunks }) =>
          createHash('sha256').update(Buffer.concat(chunks)),
        );
        t.strictSame(
          received.map((hash) => hash.digest('hex')),
          sums,
        );
      },
    );

    t.test('paused, it delivers neither bytes nor the end', async (t) => {
      const { log, peer } = await pair(t, streams);
      log.connection.pause();
      peer.end('later');
      await once(peer, 'finish');
      for (let i = 0; i < 20; i++) await turn();
      t.strictSame([log.text, log.events], ['', []]);
      log.connection.resume();
      await log.has('end');
      t.equal(log.text, 'later');
    });

    t.test(
      'paused, it tells that the peer has ended, once, and what was sent before is read later',
      { skip: name === 'node' && 'it does not look at a paused socket' },
      async (t) => {
        const { log, peer } = await pair(t, streams);
        let hangups = 0;
        Object.assign(log, { onHangup: () => hangups++ });
        log.connection.pause();
        peer.write('x'.repeat(40_000));
        for (let i = 0; i < 20; i++) await turn();
        t.equal(hangups, 0);
        peer.end();
        await until('the hang-up', () => hangups === 1);
        t.strictSame([log.text, log.events], ['', []]);
        log.connection.resume();
        await log.has('end');
        t.equal(log.bytes, 40_000);
        t.equal(hangups, 1);
        const late = await pair(t, streams);
        Object.assign(late.log, {
          onHangup: () => hangups++,
          onData: () => late.log.connection.pause(),
        });
        late.peer.end('x'.repeat(40_000));
        await until('the hang-up of one that is paused after it', () => hangups === 2);
      },
    );

    t.test('bytes that the kernel took are counted, however few the peer takes', async (t) => {
      const { log, peer } = await pair(t, streams);
      const size = 20_000_000;
      log.connection.write([Buffer.alloc(size)]);
      await until('its buffers are full', () => log.connection.sent > 0);
      for (let i = 0; i < 20; i++) await turn();
      const before = log.connection.sent;
      t.ok(before < size, `${before} bytes`);
      peer.once('data', () => peer.pause());
      await until('a little more', () => {
        peer.read();
        return log.connection.sent > before;
      });
      t.notOk(log.events.includes('drain'));
      peer.resume();
      await log.has('drain');
      t.equal(log.connection.sent, size);
    });

    t.test('whoever goes on within the call gets the bytes that were put back before the end', async (t) => {
      const taken: Connection[] = [];
      const listener = await streams.listen({
        at: { address: '127.0.0.1', port: 0 },
        onConnection: (one) => taken.push(one),
      });
      t.teardown(() => listener.close());
      const peer = connect({ port: listener.local!.port, host: '127.0.0.1', allowHalfOpen: true });
      t.teardown(() => peer.destroy());
      peer.end('first and last');
      await until('it is accepted', () => taken.length === 1);
      const [connection] = taken;
      t.teardown(() => connection!.abort());
      const [first, next] = [new Log(connection!), new Log(connection!)];
      first.onData = (bytes) => {
        connection!.putBack(bytes.subarray(5));
        next.start();
      };
      first.start();
      await next.has('end');
      t.equal(next.text, ' and last');
      t.equal(connection!.received, 14);
    });

    t.test('bytes that are put back are received by the next handler, first', async (t) => {
      const { port, sockets } = await nodeServer(t);
      for (const connected of [true, false]) {
        let connection: Connection;
        let peer: Socket;
        if (connected) {
          connection = await streams.connect({ to: { address: '127.0.0.1', port } });
          await until('its peer', () => sockets.length === 1);
          peer = sockets[0]!;
        } else {
          const taken: Connection[] = [];
          const listener = await streams.listen({
            at: { address: '127.0.0.1', port: 0 },
            onConnection: (one) => taken.push(one),
          });
          t.teardown(() => listener.close());
          peer = connect(listener.local!.port, '127.0.0.1');
          t.teardown(() => peer.destroy());
          await until('it is accepted', () => taken.length === 1);
          connection = taken[0]!;
        }
        t.teardown(() => connection.abort());
        const first = new Log(connection);
        first.onData = (bytes) => {
          first.chunks.push(Buffer.from(bytes.subarray(0, 5)));
          connection.putBack(bytes.subarray(5));
        };
        first.start();
        peer.write('first and the rest ');
        await until('the first bytes', () => first.text === 'first');
        t.equal(connection.received, 5);
        peer.write('and more');
        for (let i = 0; i < 20; i++) await turn();
        const next = new Log(connection);
        connection.pause();
        next.start();
        for (let i = 0; i < 20; i++) await turn();
        t.equal(next.text, '', 'not while it is paused');
        connection.resume();
        connection.pause();
        for (let i = 0; i < 20; i++) await turn();
        t.equal(next.text, '', 'nor if it is paused again');
        connection.resume();
        await until('the rest', () => next.text === ' and the rest and more');
        t.equal(first.text, 'first');
        t.equal(connection.received, 27);
        peer.end();
        await next.has('end');
        t.strictSame(first.events, []);
      }
    });

    t.test('a listener that is paused leaves connections in the backlog', async (t) => {
      const { listener, logs, port } = await listen(t, streams);
      if (!listener.pause) return t.equal(name, 'node', 'Node cannot');
      listener.pause();
      listener.pause();
      const sockets = Array.from({ length: 3 }, () => connect(port, '127.0.0.1'));
      t.teardown(() => {
        for (const socket of sockets) socket.destroy();
      });
      await Promise.all(sockets.map((socket) => once(socket, 'connect')));
      for (let i = 0; i < 20; i++) await turn();
      t.equal(logs.length, 0);
      listener.resume!();
      await until('they are accepted', () => logs.length === 3);
      listener.pause();
      listener.close();
    });

    t.test('what happened before the start is reported after it', async (t) => {
      const { port, sockets } = await nodeServer(t);
      const connection = await streams.connect({ to: { address: '127.0.0.1', port } });
      await until('its peer', () => sockets.length === 1);
      sockets[0]!.end('early');
      await once(sockets[0]!, 'finish');
      for (let i = 0; i < 20; i++) await turn();
      const log = new Log(connection).start();
      await log.has('end');
      t.equal(log.text, 'early');
      const closed = await streams.connect({ to: { address: '127.0.0.1', port } });
      closed.close(new Error('given up'));
      for (let i = 0; i < 20; i++) await turn();
      const late = new Log(closed).start();
      t.strictSame(late.events, [], 'not from inside the call');
      await late.has('close');
      t.equal(late.error?.message, 'given up');
    });

    t.test('an abort resets: the peer has an error', async (t) => {
      const { log, peer } = await pair(t, streams);
      const failed = once(peer, 'error');
      peer.resume();
      log.connection.abort(new Error('no more'));
      t.equal((await failed)[0].code, 'ECONNRESET');
      await log.has('close');
      t.equal(log.error?.message, 'no more');
    });

    t.test('a reset by the peer is an error, once', async (t) => {
      const { log, peer } = await pair(t, streams);
      peer.resetAndDestroy();
      await log.has('close');
      t.equal(log.code, 'ECONNRESET');
      t.strictSame(log.events, ['close']);
      t.notOk(log.connection.write([Buffer.from('in vain')]));
      log.connection.end();
      log.connection.abort();
      for (let i = 0; i < 20; i++) await turn();
      t.strictSame(log.events, ['close']);
    });

    t.test('lingering, unread bytes do not reset what the peer has not read', async (t) => {
      const { log, peer } = await pair(t, streams);
      const answer = randomBytes(200_000);
      peer.write(randomBytes(100_000));
      log.connection.pause();
      log.connection.write([answer]);
      log.connection.linger(5000);
      peer.write(randomBytes(100_000));
      t.ok((await readAll(peer)).equals(answer));
      t.notOk(log.events.includes('close'), 'it waits for its peer');
      peer.end();
      await log.has('close');
      t.equal(log.error, undefined);
      t.notOk(log.events.includes('end'));
    });

    t.test('lingering, a peer that does not end is left at the earliest limit', async (t) => {
      const { log, peer } = await pair(t, streams);
      peer.resume();
      log.connection.linger(60_000);
      log.connection.linger(50);
      await log.has('close');
    });

    t.test('a peer that takes nothing for longer than the user timeout is lost', async (t) => {
      const { log, peer } = await pair(t, streams);
      if (name === 'node') {
        t.equal(log.connection.userTimeout, undefined, 'Node has no such option');
        return;
      }
      peer.pause();
      while (log.connection.write([Buffer.alloc(65_536)])) await turn();
      log.connection.userTimeout!(300);
      const start = performance.now();
      await log.has('close');
      t.equal(log.code, 'ETIMEDOUT');
      t.ok(performance.now() - start >= 300);
      log.connection.userTimeout!(1000);
    });

    t.test('an idle connection says so again and again', async (t) => {
      const { log, peer } = await pair(t, streams);
      log.connection.limitIdle(20);
      await until('three times', () => log.idle >= 3);
      log.connection.limitIdle(60_000);
      const before = log.idle;
      peer.write('x');
      await until('a byte', () => log.text === 'x');
      t.equal(log.idle, before);
      log.connection.limitIdle(0);
    });

    t.test('a refused connection, a cancelled one and one from a port of this host', async (t) => {
      const { server, port } = await nodeServer(t);
      const { local } = await streams.connect({
        to: { address: '127.0.0.1', port },
        bind: { address: '127.0.0.2', port: 0 },
      });
      t.equal(local?.address, '127.0.0.2');
      const to = { address: '127.0.0.1', port };
      const signal = AbortSignal.abort(new Error('stopped'));
      await t.rejects(streams.connect({ to, signal }), { message: 'stopped' });
      server.close();
      const free = await freePort(t);
      await t.rejects(streams.connect({ to: { ...to, port: free } }), { code: 'ECONNREFUSED' });
      await t.rejects(listen(t, streams, { at: { address: '192.0.2.1', port: 0 } }), {
        code: 'EADDRNOTAVAIL',
      });
    });

    t.test('who is not admitted is closed, and not counted', async (t) => {
      const asked: unknown[] = [];
      const { listener, logs, port } = await listen(t, streams, {
        admit: (peer, scarce) => asked.push(peer?.address, scarce) > 2,
      });
      const refused = connect(port, '127.0.0.1');
      refused.on('error', () => undefined).resume();
      await once(refused, 'close');
      t.strictSame(asked, ['127.0.0.1', undefined]);
      t.equal(listener.connections, 0);
      const admitted = connect(port, '127.0.0.1').resume();
      await until('it is accepted', () => logs.length === 1);
      t.equal(listener.connections, 1);
      listener.close();
      admitted.write('still');
      await until('accepted ones go on', () => logs[0]!.text === 'still');
      listener.closeConnections();
      await once(admitted, 'close');
      await until('none is left', () => listener.connections === 0);
    });

    t.test('Unix sockets', { skip: process.platform === 'win32' }, async (t) => {
      const path = join(t.testdir(), name);
      const { listener, logs } = await listen(t, streams, { at: { path } });
      t.equal(listener.local, undefined);
      const log = new Log(await streams.connect({ to: { path } })).start();
      log.connection.write([Buffer.from('hello')]);
      await until('it arrives', () => logs[0]?.text === 'hello');
      t.strictSame([log.connection.peer, logs[0]!.connection.peer], [undefined, undefined]);
      log.connection.userTimeout?.(1000);
      logs[0]!.connection.abort();
      await logs[0]!.has('close');
      // There is no reset (unix(7)).
      await log.has('end');
    });

    t.test(
      'a socket that listens already is inherited',
      { skip: process.platform === 'win32' },
      async (t) => {
        const { server, port } = await nodeServer(t);
        const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
        const script = `
        const { chooseEngine } = await import('mproxy-net');
        const listener = await chooseEngine('${name}').engine.streams.listen({
          at: { fd: 3 },
          onConnection: (connection) => connection.write([Buffer.from('port ' + listener.local.port)]),
        });`;
        const args = ['--input-type=module', '-e', script];
        const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit', fd] });
        t.teardown(() => child.kill());
        server.close();
        const socket = connect(port, '127.0.0.1');
        t.equal(String((await once(socket, 'data'))[0]), `port ${port}`);
        socket.destroy();
      },
    );

    t.test('bytes that the peer has not acknowledged', async (t) => {
      const { log, peer } = await pair(t, streams);
      if (name === 'node') return t.equal(log.connection.unacknowledged(), undefined, 'it cannot tell');
      while (log.connection.write([Buffer.alloc(64 * 1024)]));
      t.ok(log.connection.unacknowledged()! > 0);
      peer.resume();
      await until('all is acknowledged', () => log.connection.unacknowledged() === 0);
    });
  });
}

async function freePort(t: import('tap').Test): Promise<number> {
  const { server, port } = await nodeServer(t);
  await new Promise((resolve) => server.close(resolve));
  return port;
}
