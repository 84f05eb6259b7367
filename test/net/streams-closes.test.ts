import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import type { ConnectionHandler } from 'mproxy-net';
import t from 'tap';
import { until } from '../support/wait.js';
import { nodeServer, pair, readAll } from './connections.js';
import { ENGINES } from './engines.js';

/** Lets the event loop go round a few times. */
async function turns(): Promise<void> {
  for (let i = 0; i < 20; i++) await turn();
}

for (const { name, streams } of ENGINES) {
  const isLinux = name === 'linux';
  /** What libuv cannot tell. */
  const linuxOnly = { skip: !isLinux && 'libuv gives the error alone' };

  t.test(name, async (t) => {
    t.test('what a peer sent before its reset is delivered, then the error', linuxOnly, async (t) => {
      const { log, peer } = await pair(t, streams);
      log.connection.pause();
      peer.write('last words');
      await until('they are sent', () => peer.writableLength === 0);
      log.connection.resume();
      peer.resetAndDestroy();
      await log.has('close');
      t.strictSame([log.text, log.code, log.events], ['last words', 'ECONNRESET', ['close']]);
    });

    t.test('a failed write does not lose what was received before', async (t) => {
      const { log, peer } = await pair(t, streams);
      peer.write('last words');
      await until('they are sent', () => peer.writableLength === 0);
      peer.resetAndDestroy();
      await once(peer, 'close');
      // Before the loop was told of anything.
      log.connection.write([Buffer.from('in vain')]);
      t.strictSame(log.events, [], 'not from inside the call');
      await log.has('close');
      t.equal(log.text, 'last words');
      t.match(log.code, /ECONNRESET|EPIPE/);
    });

    t.test('a reset is reported at once, though it is paused', linuxOnly, async (t) => {
      const { log, peer } = await pair(t, streams);
      log.connection.pause();
      peer.write('unread');
      await until('it is sent', () => peer.writableLength === 0);
      peer.resetAndDestroy();
      await log.has('close');
      t.strictSame([log.text, log.code], ['', 'ECONNRESET']);
    });

    t.test('a reset after the end of the peer is an error', async (t) => {
      const { log, peer } = await pair(t, streams);
      peer.end();
      await log.has('end');
      peer.resetAndDestroy();
      // libuv learns of it when it writes.
      await until('an error', () => {
        log.connection.write([Buffer.from('x')]);
        return log.events.includes('close');
      });
      t.match(log.code, /ECONNRESET|EPIPE/);
    });

    t.test('closed after its end, the peer has everything', async (t) => {
      const { log, peer } = await pair(t, streams);
      const received = readAll(peer);
      const block = Buffer.alloc(3_000_000, 'b');
      if (!log.connection.write([block])) await log.has('drain');
      log.connection.end();
      log.connection.close();
      t.ok((await received).equals(block));
      await log.has('close');
      t.equal(log.error, undefined);
    });

    t.test('closed with unread bytes, the peer gets a reset', async (t) => {
      const { log, peer } = await pair(t, streams);
      log.connection.pause();
      peer.write('unread');
      await until('it is sent', () => peer.writableLength === 0);
      await turns();
      const failed = once(peer, 'error');
      peer.resume();
      log.connection.close();
      t.equal((await failed)[0].code, 'ECONNRESET');
    });

    t.test('lingering, a reset of the peer ends it', async (t) => {
      const { log, peer } = await pair(t, streams);
      peer.resume();
      log.connection.linger(60_000);
      await once(peer, 'end');
      peer.resetAndDestroy();
      await log.has('close');
      t.notOk(log.events.includes('end'));
    });

    t.test('lingering, what was written before is sent first', async (t) => {
      const { log, peer } = await pair(t, streams);
      const block = Buffer.alloc(30_000_000, 'c');
      t.notOk(log.connection.write([block]));
      log.connection.linger(60_000);
      t.equal((await readAll(peer)).length, block.length);
      peer.end();
      await log.has('close');
      t.equal(log.error, undefined);
      t.strictSame(log.events, ['drain', 'close']);
    });

    for (const how of ['close', 'abort'] as const) {
      for (const where of ['onData', 'onEnd', 'onDrain', 'onIdle'] as const) {
        t.test(`${how} in ${where}: onClose is called later, and nothing else`, async (t) => {
          const { port, sockets } = await nodeServer(t);
          const connection = await streams.connect({ to: { address: '127.0.0.1', port } });
          await until('its peer', () => sockets.length === 1);
          const peer = sockets[0]!;
          const called: string[] = [];
          const all = ['onData', 'onEnd', 'onDrain', 'onIdle', 'onClose'] as const;
          const handler = Object.fromEntries(
            all.map((one) => [
              one,
              () => {
                called.push(one);
                if (one !== where) return;
                connection[how]();
                called.push('returned');
              },
            ]),
          ) as unknown as ConnectionHandler;
          connection.start(handler);
          if (where === 'onIdle') connection.limitIdle(5);
          if (where === 'onDrain') {
            while (connection.write([Buffer.alloc(300_000)]));
            peer.resume();
          }
          if (where === 'onData') peer.write('one');
          if (where === 'onEnd') peer.end();
          await until('it is closed', () => called.includes('onClose'));
          peer.destroy();
          await turns();
          t.strictSame(called, [where, 'returned', 'onClose']);
        });
      }
    }

    t.test('what is offered and not taken stays with the caller', async (t) => {
      const { log, peer } = await pair(t, streams);
      const block = Buffer.alloc(1_000_000);
      let sent = 0;
      for (let i = 0; ; i++) {
        block.fill(i);
        const taken = log.connection.offer(block);
        sent += taken;
        if (taken < block.length) break;
      }
      t.strictSame(log.events, []);
      block.fill('!');
      const received = readAll(peer);
      await log.has('drain');
      log.connection.end();
      const whole = await received;
      t.equal(whole.length, sent);
      for (let at = 0; at < whole.length; at += 10_000)
        if (whole[at] !== Math.floor(at / block.length)) t.fail(`wrong bytes at ${at}`);
    });

    t.test('a timer of the streams: set, set again, cleared', async () => {
      let due = 0;
      const timer = streams.timer(() => due++);
      timer.set(60_000);
      timer.set(10);
      await until('it is due', () => due === 1);
      timer.set(20);
      timer.clear();
      const other = streams.timer(() => due++);
      other.set(30);
      await until('the other is due', () => due === 2);
    });
  });
}
