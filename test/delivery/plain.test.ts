import t from 'tap';
import { start } from '../support/command.js';
import { loopbackGroup } from '../support/group.js';
import { freeUdpPort, tcpClient, udpSink } from '../support/net.js';
import { Feed, receive } from './feed.js';

t.test('messages leave a hop to plain UDP as a datagram each, and to TCP by the frame there', async (t) => {
  const sink = await udpSink(t);
  const group = await loopbackGroup(); // on lo
  const reverse = start(t, 'reverse', [
    ...['--multicast-addr', `${group.address},frame=mold`, '--tcp-output-addr', '127.0.0.1:0'],
    ...['--tcp-output-addr', '127.0.0.1:0,frame=line', '--udp-output-addr', `127.0.0.1:${sink.port}`],
  ]);
  const clients = [await tcpClient(t, await reverse.port()), await tcpClient(t, await reverse.port(1))];
  await reverse.port(2);
  await reverse.says(/client: .*client: /s);
  const feed = new Feed(t, group.address, ['--bind', `127.0.0.1:${await freeUdpPort()}`]);
  feed.send(300);
  feed.client.child.stdin?.write('\n');
  feed.client.child.stdin?.write('no newline');
  t.equal(await feed.end(), 0, feed.client.stderr);
  const text = `${feed.text}\nno newline`;
  await sink.has(text.length);
  t.strictSame(sink.datagrams.map(String), [...feed.text.match(/.*\n/g)!, '\n', 'no newline']);
  t.equal(String(await clients[0]!.has(text.length)), text);
  t.equal(String(await clients[1]!.has(text.length + 1)), `${text}\n`, 'a line more of the last');
  t.equal(await reverse.stop(), 0);
});

t.test('a sender that stays for nobody says that its session is over all the same', async (t) => {
  const server = receive(t, 'server', ['--listen-addr', '127.0.0.1:0', '--path', '-', '--once']);
  const feed = new Feed(t, `127.0.0.1:${await server.port()}`, ['--linger', '0s']);
  feed.send(300);
  t.equal(await feed.end(), 0, feed.client.stderr);
  t.equal(await server.exited, 0, server.stderr);
  t.equal(String(server.stdout), feed.text);
});

t.test('the shortest messages come out too, more of them than are passed on at once', async (t) => {
  const server = receive(t, 'server', ['--listen-addr', '127.0.0.1:0', '--path', '-', '--once']);
  const feed = new Feed(t, `127.0.0.1:${await server.port()}`);
  const text = '\n'.repeat(200_000);
  feed.client.child.stdin?.write(text);
  t.equal(await feed.end(), 0, feed.client.stderr);
  t.equal(await server.exited, 0, server.stderr);
  t.ok(String(server.stdout) === text, `${server.stdout.length} bytes of ${text.length}`);
});
