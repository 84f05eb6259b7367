import t from 'tap';
import { type Running, start } from '../support/command.js';
import { loopbackGroup } from '../support/group.js';
import { lossyRelay } from '../support/lossy.js';
import { freeUdpPort, tcpClient, tcpServer } from '../support/net.js';
import { Random } from '../support/random.js';
import { until } from '../support/wait.js';
import { Feed, has, numbered, receive, type Test } from './feed.js';

const LINES = 20_000;
/** Times that senders take turns. */
const ROUNDS = 10;

/** A server that ends with the session, and the port it listens on. */
async function endingServer(t: Test, flags: string[] = []) {
  const server = receive(t, 'server', [
    ...['--listen-addr', '127.0.0.1:0', '--path', '-', '--once', '--from-start', ...flags],
  ]);
  return { server, port: await server.port() };
}

/** A relay to a port, which loses a tenth of what goes on. */
async function losing(t: Test, port: number) {
  const relay = await lossyRelay(t, {
    ...{ to: { address: '127.0.0.1', port }, seed: new Random().seed, lose: 0.1, back: { lose: 0 } },
  });
  t.comment(`SEED=${relay.seed}`);
  return relay;
}

/** Packets that a command's session sent again. */
function sentAgain({ stderr }: Running): number {
  return Number(/([\d,]+) packets? sent again\n/.exec(stderr)?.[1]?.replace(/,/g, ''));
}

t.test('a hop without frame=mold passes packets as they are; requests go to --request-addr', async (t) => {
  const origin = `127.0.0.1:${await freeUdpPort()}`;
  const { server, port } = await endingServer(t, ['--request-addr', origin]);
  const hop = start(t, 'forward', [
    ...['--udp-listen-addr', '127.0.0.1:0', '--udp-downstream-addr', `127.0.0.1:${port}`],
  ]);
  const relay = await losing(t, await hop.port());
  const feed = new Feed(t, `${relay.address}:${relay.port}`, [
    '--bind',
    origin,
    '--payload',
    '1400',
    '--linger',
    '3s',
  ]);
  feed.send(LINES);
  t.equal(await feed.end(), 0, feed.client.stderr);
  t.equal(await server.exited, 0, server.stderr);
  t.ok(relay.counts.on.lost > 0);
  t.equal(String(server.stdout), feed.text);
  t.match(server.stderr, new RegExp(`ended: .*session ${await feed.session()} of .* 0 lost`));
});

t.test('a hop that reads and writes mold repairs by itself', async (t) => {
  const { server, port } = await endingServer(t);
  const relay = await losing(t, port);
  const hop = start(t, 'forward', [
    ...['--udp-listen-addr', '127.0.0.1:0', '--udp-downstream-addr', `${relay.address}:${relay.port}`],
    ...['--frame', 'mold', '--once', '--payload', '1400', '--linger', '3s'],
  ]);
  // No faster than the smallest buffer has room for: the origin is to be asked for nothing.
  const feed = new Feed(t, `127.0.0.1:${await hop.port()}`, ['--payload', '1400', '--rate', '10Mbps']);
  feed.send(LINES);
  t.equal(await feed.end(), 0, feed.client.stderr);
  t.equal(await hop.exited, 0, hop.stderr);
  t.equal(await server.exited, 0, server.stderr);
  t.ok(relay.counts.on.lost > 0);
  t.equal(String(server.stdout), feed.text);
  t.ok(sentAgain(hop) >= relay.counts.on.lost / 4, hop.stderr);
  t.equal(sentAgain(feed.client), 0, 'the origin was asked for nothing');
  const names = [feed.client, hop].map(({ stderr }) => /session (\S+) to/.exec(stderr)?.[1]);
  t.not(names[0], names[1], 'a session of its own');
  t.match(server.stderr, new RegExp(`ended: .*session ${names[1]} of .* 0 lost`));
});

t.test(
  'reverse takes TCP into a group by mold, and another gives it to TCP, and to a hop by mold',
  async (t) => {
    const group = await loopbackGroup(); // on lo
    const { server, port } = await endingServer(t);
    const out = start(t, 'reverse', [
      ...['--multicast-addr', `${group.address},frame=mold`, '--once'],
      ...['--tcp-output-addr', '127.0.0.1:0', '--udp-output-addr', `127.0.0.1:${port},frame=mold`],
    ]);
    const client = await tcpClient(t, await out.port());
    await out.port(1);
    await out.says('client: ');
    const into = start(t, 'reverse', [
      ...['--multicast-addr', `${group.address},frame=mold`, '--tcp-listen-addr', '127.0.0.1:0'],
    ]);
    const sender = await tcpClient(t, await into.port());
    const text = numbered(1, LINES);
    sender.socket.end(text);
    t.equal(String(await client.has(text.length)), text);
    await has(server, `line ${LINES}\n`);
    t.equal(await into.stop(), 0, into.stderr);
    t.equal(await out.exited, 0, out.stderr);
    t.equal(await server.exited, 0, server.stderr);
    t.equal(String(server.stdout), text);
    t.equal(client.length, text.length, 'nothing twice');
  },
);

t.test('forward sends what a TCP upstream says by mold, and repairs it after the end', async (t) => {
  const { server, port } = await endingServer(t);
  const relay = await losing(t, port);
  const text = numbered(1, LINES);
  const upstream = await tcpServer(t, (socket) => socket.end(text));
  const forward = start(t, 'forward', [
    ...['--tcp-connect-addr', `127.0.0.1:${upstream.port}`, '--once', '--payload', '1400'],
    ...['--udp-downstream-addr', `${relay.address}:${relay.port},frame=mold`, '--linger', '3s'],
  ]);
  const began = performance.now();
  t.equal(await forward.exited, 0, forward.stderr);
  t.ok(performance.now() - began > 3000, 'the linger was not cut short');
  t.equal(await server.exited, 0, server.stderr);
  t.ok(relay.counts.on.lost > 0 && sentAgain(forward) > 0, forward.stderr);
  t.equal(String(server.stdout), text);
});

t.test('several senders in a group are kept apart', async (t) => {
  const group = await loopbackGroup(); // on lo
  const server = receive(t, 'server', ['--listen-addr', group.address, '--path', '-', '--once']);
  await server.port();
  const feeds = ['a', 'b', 'c'].map((word) => new Feed(t, group.address, ['--payload', '200'], word));
  let bytes = 0;
  for (let round = 1; round <= ROUNDS; round++) {
    for (const feed of feeds) feed.send(LINES / ROUNDS);
    bytes = feeds.reduce((sum, { text }) => sum + text.length, 0);
    await until('all of this round', () => server.stdout.length === bytes);
  }
  for (const status of await Promise.all(feeds.map((feed) => feed.end()))) t.equal(status, 0);
  t.equal(await server.exited, 0, server.stderr);
  t.equal(server.stderr.match(/ended: .* 0 lost/g)?.length, 3);
  const lines = String(server.stdout).match(/.*\n/g) ?? [];
  for (const feed of feeds) {
    const word = feed.text[0]!;
    t.equal(lines.filter((line) => line.startsWith(word)).join(''), feed.text, `all of ${word}, in order`);
  }
  t.equal(server.stdout.length, bytes, 'and nothing else');
});
