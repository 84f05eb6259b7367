import { setTimeout as wait } from 'node:timers/promises';
import t from 'tap';
import { Feed, has, receive } from './feed.js';

/** Longer than a sender may be silent. */
const STOPPED_MS = 6500;

t.test('a receiver that was stopped for a while does not take its sender for gone', async (t) => {
  const server = receive(t, 'server', [
    ...['--listen-addr', '127.0.0.1:0', '--path', '-', '--once', '--repair-timeout', '1s'],
  ]);
  const feed = new Feed(t, `127.0.0.1:${await server.port()}`);
  feed.send(1000);
  await has(server, 'line 1000\n');
  server.child.kill('SIGSTOP');
  feed.send(1000);
  await wait(STOPPED_MS);
  server.child.kill('SIGCONT');
  await has(server, 'line 2000\n');
  t.equal(await feed.end(), 0, feed.client.stderr);
  t.equal(await server.exited, 0, server.stderr);
  t.equal(String(server.stdout), feed.text);
  t.notMatch(server.stderr, 'gone');
});
