import { createSocket } from 'node:dgram';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { start } from '../support/command.js';
import { freeUdpPort } from '../support/net.js';
import { inOneOfSome, untrue } from '../support/tries.js';

const LINE = `${'x'.repeat(99)}\n`;
const LINES = 600_000;

t.test('a stream waits for a receiver that asks for what was sent long ago, but not for ever', async (t) => {
  const path = join(t.testdir({}), 'in');
  writeFileSync(path, LINE.repeat(LINES));
  const [own, nobody] = [await freeUdpPort(), await freeUdpPort()];
  const request = Buffer.alloc(20, 'A         ');
  request.writeBigUInt64BE(1n, 10);
  request.writeUInt16BE(1, 18);
  const socket = createSocket('udp4');
  const timer = setInterval(() => socket.send(request, own, '127.0.0.1'), 3);
  t.teardown(() => {
    clearInterval(timer);
    socket.close();
  });
  // Where this process is late, nobody asks.
  await inOneOfSome(t, async () => {
    const client = start(t, 'client', [
      ...['--path', path, '--server-addr', `127.0.0.1:${nobody},bind=127.0.0.1:${own}`, '--frame', 'mold'],
      ...['--session', 'A', '--linger', '0s'],
    ]);
    await client.says('sending: session');
    const begin = performance.now();
    t.equal(await client.exited, 0, client.stderr);
    const took = performance.now() - begin;
    t.match(client.stderr, /600,000 messages sent, [1-9][\d,]* packets? sent again/);
    // 60 MB: the first 16 MiB at once, then up to 50 ms for each.
    return untrue({ [`it took ${Math.round(took)} ms`]: took > 1000 });
  });
});
