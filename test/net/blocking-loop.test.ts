import type { ConnectionHandler } from 'mproxy-net';
import { loadLibc } from 'mproxy-net/linux/libc';
import { Loop } from 'mproxy-net/linux/loop';
import type { StreamConnection } from 'mproxy-net/linux/streams/connection';
import { Connector } from 'mproxy-net/linux/streams/connector';
import { PlainListener } from 'mproxy-net/linux/streams/listener';
import { StreamParts } from 'mproxy-net/linux/streams/parts';
import t from 'tap';

const skip = process.platform !== 'linux' && 'epoll is of Linux';

/** What a memory is surrounded by. */
const CANARY = 4096;

t.test('connections in a loop that blocks, without a turn of the event loop of Node', { skip }, async (t) => {
  const libc = loadLibc();
  const loop = new Loop(libc);
  t.teardown(() => loop.close());
  const all = Buffer.alloc(64 * 1024 + 2 * CANARY, 0xaa);
  const memory = all.subarray(CANARY, -CANARY);
  const parts = new StreamParts(libc, loop, undefined, memory);
  const closed: string[] = [];
  const failures: unknown[] = [];
  let returned = 0;
  const echo = (connection: StreamConnection): ConnectionHandler => ({
    onData(bytes) {
      const taken = connection.offer(bytes);
      if (taken === bytes.length) return;
      connection.write([Buffer.from(bytes.subarray(taken))]);
      connection.pause();
    },
    onDrain: () => connection.resume(),
    onEnd: () => connection.end(),
    onClose: (error) => closed.push(`server ${error?.message}`),
  });
  const listener = new PlainListener(parts, {
    at: { address: '127.0.0.1', port: 0 },
    onConnection: (connection) => connection.start(echo(connection as StreamConnection)),
  });
  t.teardown(() => listener.close());
  const block = Buffer.alloc(5_000_000, 'x');
  const onError = (error: unknown) => failures.push(error);
  new Connector(
    parts,
    { to: listener.local! },
    {
      onError,
      onConnected(connection) {
        connection.start({
          onData(bytes) {
            returned += bytes.length;
            if (bytes.some((byte) => byte !== block[0])) failures.push('wrong bytes');
            if (returned === block.length) connection.end();
          },
          onEnd: () => undefined,
          onClose: (error) => closed.push(`client ${error?.message}`),
        });
        connection.write([block]);
      },
    },
  );
  // Nobody listens there.
  new Connector(
    parts,
    { to: { address: '127.0.0.2', port: listener.local!.port } },
    { onError, onConnected: () => undefined },
  );
  const deadline = performance.now() + 10_000;
  while (closed.length < 2 && performance.now() < deadline) loop.turn(100);
  t.strictSame(closed.toSorted(), ['client undefined', 'server undefined']);
  t.equal(returned, block.length);
  t.match(failures, [{ code: 'ECONNREFUSED', syscall: 'connect' }]);
  t.equal(listener.connections, 0);
  listener.close();
  t.equal(loop.holders, 0);
  t.equal(loop.size, 0);
  for (const edge of [all.subarray(0, CANARY), all.subarray(-CANARY)])
    t.ok(
      edge.every((byte) => byte === 0xaa),
      'nothing is written beside the memory',
    );
});
