import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { start } from '../support/command.js';
import { udpSink } from '../support/net.js';

const LINE = `${'x'.repeat(99)}\n`;
const LINES = 600_000;

t.test('a stream waits for a receiver that asks for what was sent long ago, but not for ever', async (t) => {
  const path = join(t.testdir({}), 'in');
  writeFileSync(path, LINE.repeat(LINES));
  const sink = await udpSink(t);
  const client = start(t, 'client', [
    ...['--path', path, '--server-addr', `127.0.0.1:${sink.port}`, '--frame', 'mold'],
    ...['--session', 'A', '--linger', '100ms'],
  ]);
  const request = Buffer.alloc(20, 'A         ');
  request.writeBigUInt64BE(1n, 10);
  request.writeUInt16BE(1, 18);
  let timer: NodeJS.Timeout | undefined;
  let [first, last] = [0, 0];
  sink.socket.on('message', (packet, from) => {
    sink.datagrams.length = 0;
    first ||= performance.now();
    timer ??= setInterval(() => sink.socket.send(request, from.port, from.address), 3);
    if (packet.readUInt16BE(18) !== 0xffff) return;
    last ||= performance.now();
    clearInterval(timer);
  });
  t.teardown(() => clearInterval(timer));
  t.equal(await client.exited, 0, client.stderr);
  t.ok(last > 0, 'the end came');
  // 60 MB: the first 16 MiB at once, then up to 50 ms for each.
  const took = last - first;
  t.ok(took > 1000, `it took ${Math.round(took)} ms`);
  t.match(client.stderr, /600,000 messages sent, [1-9]\d* packets? sent again/);
});
