import { END_OF_SESSION } from 'mproxy-mold';
import t, { type Test } from 'tap';
import { numbered } from '../delivery/feed.js';
import { packet } from '../mold/packets.js';
import { type Running, start } from '../support/command.js';
import { Random } from '../support/random.js';
import { until } from '../support/wait.js';
import { peerOf } from './peer.js';
import { NatsServer, noServer } from './server.js';

const PER_PACKET = 10;

/** Receives sessions to stdout, until all of them ended. */
function receive(t: Test, urls: string[], ...flags: string[]): Running {
  const from = urls.flatMap((url) => ['--listen-addr', url]);
  return start(t, 'server', ['--path', '-', ...from, '--frame', 'mold', '--once', ...flags]);
}

/** A client that sends a session to a subject. */
const send = (t: Test, url: string): Running =>
  start(t, 'client', ['--path', '-', '--frame', 'mold', '--server-addr', url]);

/** Packets of numbered lines, `PER_PACKET` in each. */
function packets(count: number): Buffer[] {
  return Array.from({ length: count }, (_, i) => {
    const first = i * PER_PACKET + 1;
    return packet(first, numbered(first, PER_PACKET).split(/(?<=\n)/));
  });
}

async function connected(running: Running, times = 1): Promise<void> {
  await until('connected', () => (running.stderr.match(/connected to/g) ?? []).length >= times);
}

t.test(
  'a session by way of subjects and UDP, end to end: all of it, once, in order',
  { skip: noServer },
  async (t) => {
    const server = await NatsServer.start(t);
    const [a, b] = [server.url('a'), server.url('b')];
    const last = receive(t, ['127.0.0.1:0']);
    const reverse = start(t, 'reverse', [
      ...['--multicast-addr', `${b},frame=mold`],
      ...['--udp-output-addr', `127.0.0.1:${await last.port()},frame=mold`],
    ]);
    const forward = start(t, 'forward', [
      ...['--udp-listen-addr', `${a},frame=mold`, '--udp-downstream-addr', `${b},frame=mold`, '--once'],
    ]);
    await connected(reverse);
    await connected(forward, 2);
    const client = send(t, a);
    const lines = numbered(1, 200_000);
    client.child.stdin!.end(lines);
    t.equal(await client.exited, 0, client.stderr);
    // The session of the client ended, and so does the one that it was forwarded in.
    t.equal(await forward.exited, 0, forward.stderr);
    await until('all of it', () => last.stdout.length >= lines.length);
    t.equal(await reverse.stop(), 0, reverse.stderr);
    t.equal(await last.exited, 0, last.stderr);
    t.equal(String(last.stdout), lines);
  },
);

t.test(
  'packets that are received without frame=mold are written as they are, and that is said',
  { skip: noServer },
  async (t) => {
    const server = await NatsServer.start(t);
    const ours = start(t, 'server', ['--path', '-', '--listen-addr', server.url('a')]);
    await connected(ours);
    const client = send(t, server.url('a'));
    client.child.stdin!.end(numbered(1, 10));
    t.equal(await client.exited, 0, client.stderr);
    await ours.says(
      'the first message is a MoldUDP64 packet: packets are written as they are; frame=mold writes',
    );
    t.equal(await ours.stop(), 0);
  },
);

t.test(
  'without frame=mold packets pass unchanged, and what comes twice is delivered once',
  { skip: noServer },
  async (t) => {
    const server = await NatsServer.start(t);
    const [a, b] = [server.url('a'), server.url('b')];
    const relay = start(t, 'forward', ['--udp-listen-addr', a, '--udp-downstream-addr', b]);
    const last = receive(t, [a, b], '--stats', '1h');
    await connected(relay, 2);
    await connected(last, 2);
    const client = send(t, a);
    const lines = numbered(1, 20_000);
    client.child.stdin!.end(lines);
    t.equal(await client.exited, 0, client.stderr);
    t.equal(await last.exited, 0, last.stderr);
    t.equal(String(last.stdout), lines);
    await relay.stop();
  },
);

t.test(
  'packets dropped, repeated and out of order: what is missing is waited for, then named',
  { skip: noServer },
  async (t) => {
    const server = await NatsServer.start(t);
    const peer = await peerOf(t, server);
    const random = new Random();
    t.comment(`SEED=${random.seed}`);
    const last = receive(t, [server.url('a')], '--repair-timeout', '500ms', '--stats', '1h');
    await connected(last);
    const [first, second, third, ...rest] = packets(1000);
    const [missing, late] = [400, 700];
    peer.publish('a', first);
    peer.publish('a', third);
    peer.publish('a', second);
    // Each within a few of its place, some of them twice.
    const order = rest
      .map((bytes, i) => ({ bytes, i, at: i + 8 * random.next() }))
      .toSorted((x, y) => x.at - y.at);
    for (const { bytes, i } of order) {
      if (i === missing || i === late) continue;
      peer.publish('a', bytes);
      if (random.next() < 0.1) peer.publish('a', bytes);
    }
    await peer.flush();
    peer.publish('a', rest[late]!);
    peer.publish('a', packet(1000 * PER_PACKET + 1, [], END_OF_SESSION));
    t.equal(await last.exited, 1, 'with --once: 1, as messages are lost');
    const lost = (missing + 3) * PER_PACKET + 1;
    const expected =
      numbered(1, lost - 1) + numbered(lost + PER_PACKET, 1000 * PER_PACKET - lost - PER_PACKET + 1);
    t.equal(String(last.stdout), expected);
    t.match(
      last.stderr,
      new RegExp(`lost in all: .*session session: messages ${lost} to ${lost + 9} \\(10 in all\\)`),
    );
    t.match(last.stderr, /ended: .* 10 lost/);
    t.match(last.stderr, /\(10 in all\); a subject keeps nothing: use a stream \(stream=NAME\)/);
  },
);

t.test(
  'messages that are no packets are counted: short ones, and packets larger than a datagram',
  { skip: noServer },
  async (t) => {
    const server = await NatsServer.start(t);
    const peer = await peerOf(t, server);
    const last = receive(t, [server.url('a')], '--stats', '1h');
    await connected(last);
    peer.publish('a', packet(1, ['one\n']));
    peer.publish('a', 'short');
    peer.publish(
      'a',
      packet(
        2,
        Array.from({ length: 60_000 }, () => 'x'.repeat(10)),
      ),
    );
    peer.publish('a', packet(2, ['two\n']));
    peer.publish('a', packet(3, [], END_OF_SESSION));
    t.equal(await last.exited, 0, last.stderr);
    t.equal(String(last.stdout), 'one\ntwo\n');
    t.match(last.stderr, /stats: .* 2 malformed/);
  },
);

t.test(
  'a server that is away for a while: the client waits, and the session goes on whole',
  { skip: noServer },
  async (t) => {
    const server = await NatsServer.start(t);
    const last = receive(t, [server.url('a')], '--from-start');
    await connected(last);
    await server.kill();
    const client = send(t, server.url('a'));
    client.child.stdin!.write('one\n');
    await client.says('trying again in');
    // Core NATS keeps nothing for a receiver that connects later than the sender.
    client.child.kill('SIGSTOP');
    await server.restart();
    await connected(last, 2);
    client.child.kill('SIGCONT');
    await connected(client);
    client.child.stdin!.end('two\n');
    t.equal(await client.exited, 0, client.stderr);
    t.equal(await last.exited, 0, last.stderr);
    t.equal(String(last.stdout), 'one\ntwo\n');
  },
);
