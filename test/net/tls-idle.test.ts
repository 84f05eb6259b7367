import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { chooseEngine } from 'mproxy-net';
import { loadKoffi } from 'mproxy-net/linux/installed';
import t from 'tap';
import { until } from '../support/wait.js';
import { notLinux } from './tls-channels.js';
import { credentials } from './tls-pairs.js';

/** Idle connections whose memory is measured, after the first ones, and the bound for each, in bytes. */
const IDLE = 500;
const FIRST = 50;
const IDLE_MEMORY = 36 * 1024;

/**
 * Memory in use by objects of JavaScript, and by malloc(3) in this thread: the whole of the process also has what V8 keeps for its heap, which
 * is more than what is measured, and changes.
 */
async function settled(): Promise<number> {
  setFlagsFromString('--expose-gc');
  const malloc_trim = loadKoffi().load(null).func('int malloc_trim(size_t)') as (pad: number) => number;
  const collect = runInNewContext('gc') as () => void;
  // What is freed later, by finalizers.
  for (let i = 0; i < 3; i++) {
    collect();
    await turn();
  }
  malloc_trim(0);
  const heap = /\[heap\]\n(?:.*\n)*?Rss: +(\d+) kB/.exec(readFileSync('/proc/self/smaps', 'latin1'))![1];
  return process.memoryUsage().heapUsed + Number(heap) * 1024;
}

t.test('memory of an idle connection with TLS', { skip: notLinux }, async (t) => {
  const { authority, own } = await credentials(t);
  const clients = IDLE + FIRST;
  const script = `
    const { connect } = require('node:tls');
    const next = (port, left) => {
      const socket = connect({ host: '127.0.0.1', port, ca: process.env.CA, servername: 'one.test' });
      socket.on('data', () => undefined).on('error', () => undefined);
      socket.on('secureConnect', () => {
        socket.write('x'.repeat(20000));
        if (left > 1) next(port, left - 1);
      });
    };
    // Ten at a time.
    process.on('message', ({ port, count }) => {
      for (let i = 0; i < 10; i++) next(port, count / 10);
    });`;
  const child = spawn(process.execPath, ['-e', script], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, CA: authority.pem, NODE_OPTIONS: '' },
  });
  t.teardown(() => child.kill());
  const block = Buffer.alloc(20_000, 'y');
  let received = 0;
  const listener = await chooseEngine('linux').engine.streams.listen({
    at: { address: '127.0.0.1', port: 0 },
    tls: { pairs: [own] },
    onConnection: (connection) =>
      connection.start({
        onData: ({ length }) => {
          received += length;
          if (received % 20_000 === 0) connection.write([block]);
        },
        onEnd: () => connection.close(),
        onClose: () => undefined,
      }),
  });
  const { port } = listener.local!;
  child.send({ port, count: FIRST });
  await until('the first', () => received === FIRST * 20_000, 30_000);
  const before = await settled();
  child.send({ port, count: IDLE });
  await until('all', () => received === clients * 20_000, 60_000);
  const each = ((await settled()) - before) / IDLE;
  t.comment(`${(each / 1024).toFixed(1)} KB each`);
  t.ok(each < IDLE_MEMORY, `${Math.round(each)} bytes`);
  listener.close();
  listener.closeConnections();
});
