import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { packet, SESSION } from '../mold/packets.js';
import { start } from '../support/command.js';
import { udpSink } from '../support/net.js';
import { until } from '../support/wait.js';

/** The bound of requests that prolong the end, ms; the store of a mebibyte is sent again within the slack. */
const BOUND = 60_000;
const SLACK = 5000;
const ASK_MS = 20;

t.test(
  'who never stops asking keeps a sender for a minute, and no longer',
  { timeout: 90_000 },
  async (t) => {
    const file = join(t.testdir(), 'in');
    writeFileSync(file, 'a\n');
    const [data, asker] = [await udpSink(t), await udpSink(t)];
    const client = start(t, 'client', [
      ...[
        '--path',
        file,
        '--server-addr',
        `127.0.0.1:${data.port}`,
        '--frame',
        'mold',
        '--session',
        SESSION.trim(),
      ],
      ...['--retain', '1MiB', '--linger', '300ms'],
    ]);
    let port = 0;
    data.socket.on('message', (_, from) => {
      port = from.port;
    });
    await until('a packet', () => port !== 0);
    const request = packet(1, [], 1);
    const began = performance.now();
    const asking = setInterval(() => asker.socket.send(request, port, '127.0.0.1'), ASK_MS);
    t.teardown(() => clearInterval(asking));
    t.equal(await client.exited, 0, client.stderr);
    const took = performance.now() - began;
    t.ok(took > BOUND / 2, `requests prolong it: ${Math.round(took)} ms`);
    t.ok(took < BOUND + SLACK, `to a bound: ${Math.round(took)} ms`);
    t.ok(asker.datagrams.length > BOUND / ASK_MS / 4, 'all the while they are answered');
  },
);
