import t from 'tap';
import { start } from './support/command.js';
import { lan, noNamespaces } from './support/namespace.js';
import { udpSink } from './support/net.js';

t.test('the client sends a file', async (t) => {
  const sink = await udpSink(t);
  const client = start(t, 'client', ['--path', '-', '--server-addr', `127.0.0.1:${sink.port}`]);
  client.child.stdin!.end('a\nb');
  t.equal(await client.exited, 0);
  t.equal(String(await sink.has(3)), 'a\nb');
});
t.test('lan', { skip: noNamespaces }, async (t) => {
  const { hosts } = lan(t, 2);
  t.match(hosts[0]!.run('ip','addr'), 'fd77::1');
});
