import { createSocket } from 'node:dgram';
import { END_OF_SESSION } from 'mproxy-mold';
import t, { type Test } from 'tap';
import { packet } from '../mold/packets.js';
import { receive } from './feed.js';

const PACKETS = 20;
const LAST = 100_000;
const MESSAGE = `${'x'.repeat(999)}\n`;

/** A sender that hears no request: nearly all of its messages are missing. */
async function deafSender(t: Test, port: number): Promise<void> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  t.teardown(() => socket.close());
  const send = (bytes: Buffer) => socket.send(bytes, port, '127.0.0.1');
  send(packet(1, [MESSAGE]));
  for (let i = 0; i < PACKETS; i++) send(packet(LAST - PACKETS + i, [MESSAGE]));
  const over = packet(LAST, [], END_OF_SESSION);
  const timer = setInterval(() => send(over), 50);
  t.teardown(() => clearInterval(timer));
}

t.test('what a sender answers nothing about is given up together, however much that is', async (t) => {
  const server = receive(t, 'server', [
    ...['--listen-addr', '127.0.0.1:0', '--path', '-', '--once', '--repair-timeout', '1s'],
  ]);
  await deafSender(t, await server.port());
  const began = performance.now();
  t.equal(await server.exited, 1);
  // One after the other it would take minutes.
  t.ok(performance.now() - began < 20_000, 'soon');
  t.equal(String(server.stdout), MESSAGE.repeat(1 + PACKETS));
  t.match(server.stderr, `messages 2 to ${LAST - PACKETS - 1} `);
});
