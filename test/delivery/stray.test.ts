import t from 'tap';
import { freeUdpPort } from '../support/net.js';
import { Feed, receive } from './feed.js';

// Elsewhere only 127.0.0.1 is there.
const skip = process.platform !== 'linux';

t.test('answers from another address than was asked are told, with what helps', { skip }, async (t) => {
  const [port, own] = [await freeUdpPort(), await freeUdpPort()];
  const feed = new Feed(t, `127.0.0.1:${port},bind=0.0.0.0:${own}`);
  feed.send(100);
  await feed.client.says('sending: session');
  const listen = ['--listen-addr', `127.0.0.1:${port}`, '--path', '-', '--from-start', '--once'];
  const server = receive(t, 'server', [...listen, '--request-addr', `127.0.0.2:${own}`]);
  const told = `requested from 127.0.0.2:${own}, answered from 127.0.0.1:${own}: ignored`;
  await server.port();
  feed.send(100);
  await server.says(`${told}; give --request-addr 127.0.0.1:${own}`);
  await server.stop();
  const again = receive(t, 'server', [...listen, '--request-addr', `127.0.0.1:${own}`]);
  await again.port();
  feed.send(100);
  t.equal(await feed.end(), 0, feed.client.stderr);
  t.equal(await again.exited, 0, again.stderr);
  t.equal(String(again.stdout), feed.text);
  t.equal(server.stderr.split(told).length, 2, 'once');
});
