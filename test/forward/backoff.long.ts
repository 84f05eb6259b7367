import type { Socket } from 'node:net';
import t from 'tap';
import { start } from '../support/command.js';
import { tcpServer } from '../support/net.js';
import { until } from '../support/wait.js';

t.setTimeout(60_000);

t.test('a connection that lived ten seconds has the next failure start anew', async (t) => {
  const sockets: Socket[] = [];
  const upstream = await tcpServer(t, (socket) => sockets.push(socket));
  const forward = start(t, 'forward', ['--tcp-connect-addr', `127.0.0.1:${upstream.port}`, '--tee']);
  const pauses = () => [...forward.stderr.matchAll(/ended; trying again in (.*)$/gm)].map((said) => said[1]!);
  for (const count of [1, 2]) {
    await until('a connection', () => sockets.length === count);
    sockets[count - 1]!.destroy();
    await until('a pause', () => pauses().length === count);
  }
  t.match(pauses()[1], /^(0\.[89]|1) s$|^[89]\d\d ms$/, 'the second pause is longer');
  await until('a third connection', () => sockets.length === 3);
  const since = performance.now();
  await until('it lives ten seconds', () => performance.now() - since > 10_500, 20_000);
  sockets[2]!.destroy();
  await until('a third pause', () => pauses().length === 3);
  t.match(pauses()[2], /^(4\d\d|500) ms$/, 'the third is like the first');
});
