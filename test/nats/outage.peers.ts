import t, { type Test } from 'tap';
import { type Running, start } from '../support/command.js';
import { until } from '../support/wait.js';
import { collect, peerOf } from './peer.js';
import { NatsServer, noServer } from './server.js';

const receive = (t: Test, url: string, ...flags: string[]): Running =>
  start(t, 'server', ['--path', '-', '--listen-addr', url, ...flags]);

/** A receiver that was connected, and its server, which was killed. */
async function cutOff(t: Test): Promise<{ server: NatsServer; ours: Running }> {
  const server = await NatsServer.start(t);
  const ours = receive(t, server.url('a'));
  await ours.says('connected to');
  await server.kill();
  return { server, ours };
}

t.test(
  'a server that stops and starts again: the gap is measured and reported',
  { skip: noServer },
  async (t) => {
    const { server, ours } = await cutOff(t);
    await ours.says('trying again in');
    await server.restart();
    await ours.says(/receiving: .*: disconnected for [\d.]+ (ms|s): messages may be lost/, 30_000);
    const peer = await peerOf(t, server);
    await until('subscribed again', async () => {
      peer.publish('a', 'x');
      await peer.flush();
      return ours.stdout.length > 0;
    });
    t.equal(await ours.stop(), 0);
    t.match(ours.stderr, /lost in all: .*: was disconnected for .*: messages of that time may be lost/);
  },
);

t.test(
  'messages that a connection took and a server did not confirm before it was killed are counted; the exit status is 0',
  { skip: noServer },
  async (t) => {
    const server = await NatsServer.start(t);
    const url = server.url('a');
    const client = start(t, 'client', [
      '--path',
      '-',
      '--frame',
      'line',
      '--server-addr',
      url,
      '--stats',
      '1',
    ]);
    await client.says('connected to');
    await server.hang();
    client.child.stdin!.write('x\n'.repeat(100));
    await client.says(/a: 100 datagrams/);
    await server.kill();
    await client.says(/up to 100 unconfirmed messages may be lost/);
    await server.restart();
    await until('connected again', () => client.stderr.split('connected to').length > 2, 40_000);
    client.child.stdin!.end();
    t.equal(await client.exited, 0, client.stderr);
    t.match(client.stderr, /100 unconfirmed messages\n/, 'in the statistics');
    t.match(
      client.stderr,
      /lost in all: .*: up to 100 messages may be lost: their connection ended before the server confirmed them/,
    );
  },
);

t.test(
  'a client waits for its server, from the start and in between; a relay drops and counts',
  { skip: noServer },
  async (t) => {
    const server = await NatsServer.start(t);
    await server.kill();
    const client = start(t, 'client', ['--path', '-', '--frame', 'line', '--server-addr', server.url('a')]);
    const forward = start(t, 'forward', [
      '--udp-listen-addr',
      '127.0.0.1:0',
      '--udp-downstream-addr',
      server.url('b'),
    ]);
    client.child.stdin!.write('before\n');
    await client.says('connection refused; trying again in');
    const { createSocket } = await import('node:dgram');
    const socket = createSocket('udp4');
    t.teardown(() => socket.close());
    socket.send('dropped', await forward.port(), '127.0.0.1');
    await forward.says(/lost in all: .*dropped 1 datagram: not connected: connection refused/);
    await server.restart();
    const got = await collect(await peerOf(t, server), '>');
    await until('the first line', () => got.includes('before\n'), 30_000).catch(() => undefined);
    client.child.stdin!.end('after\n');
    t.equal(await client.exited, 0, client.stderr);
    await until('the last line', () => got.includes('after\n'));
    t.notMatch(client.stderr, /lost/);
    t.equal(await forward.stop(), 0);
  },
);

t.test(
  'a server that was used and is away: attempts stay frequent, and are reported rarely',
  { skip: noServer },
  async (t) => {
    const { server, ours } = await cutOff(t);
    let attempts = 0;
    // In its place: it counts, and closes.
    const { createServer } = await import('node:net');
    const times: number[] = [];
    const other = createServer((socket) => {
      attempts++;
      times.push(performance.now());
      socket.destroy();
    });
    other.listen(server.port, '127.0.0.1');
    t.teardown(() => other.close());
    await until('seven attempts', () => attempts >= 7, 60_000);
    const last = times[6]! - times[5]!;
    t.ok(last < 6000, `2 s at most, and what the machine adds: ${last} ms`);
    t.ok((ours.stderr.match(/trying again/g) ?? []).length < 5, ours.stderr);
    t.equal(await ours.stop(), 0);
  },
);

/** Servers of one cluster. */
async function cluster(t: Test, count: number, more = ''): Promise<NatsServer[]> {
  const servers: NatsServer[] = [];
  for (let i = 0; i < count; i++) {
    const seed = servers[0] ? `routes: ["nats-route://127.0.0.1:${servers[0].clusterPort}"]` : '';
    const config = `server_name: s${i}\ncluster { name: c, listen: "127.0.0.1:-1", ${seed} }\n${more}`;
    servers.push(await NatsServer.start(t, { config }));
  }
  await until('routes', () => servers.every(({ log }) => /Route connection created|rid:/.test(log)));
  return servers;
}

t.test(
  'a cluster of three, one killed: a client that knew only that one goes on with another',
  { skip: noServer },
  async (t) => {
    const servers = await cluster(t, 3);
    const [first, second, third] = servers;
    const ours = receive(t, first!.url('a'));
    await ours.says(/connected to .* \(s0\)/);
    await first!.kill();
    await ours.says(/connected to .* \(s[12]\)/);
    t.match(ours.stderr, /disconnected for [\d.]+ m?s: messages may be lost/);
    const peers = [await peerOf(t, second!), await peerOf(t, third!)];
    await until('messages of both', async () => {
      for (const [i, peer] of peers.entries()) peer.publish('a', `${i}\n`);
      await Promise.all(peers.map((peer) => peer.flush()));
      return ['0', '1'].every((line) => String(ours.stdout).split('\n').includes(line));
    });
  },
);

t.test(
  'an output that feeds its input by another server of a cluster: ends with the error of the start',
  { skip: noServer },
  async (t) => {
    const [first, second] = await cluster(t, 2);
    const [input, output] = [first!.url('a'), second!.url('a')];
    const forward = start(t, 'forward', ['--udp-listen-addr', input, '--udp-downstream-addr', output]);
    t.equal(await forward.exited, 2, forward.stderr);
    t.match(forward.stderr, `loop: ${output}: what is sent there comes back in by ${input}`);
  },
);

t.test(
  'lame duck mode: both move before the server closes, and nothing is lost that is sent meanwhile',
  { skip: noServer },
  async (t) => {
    // The shortest that the server accepts.
    const times = 'lame_duck_duration: "30s"\nlame_duck_grace_period: "5s"';
    const [first] = await cluster(t, 2, times);
    const ours = receive(t, first!.url('a'));
    const client = start(t, 'client', ['--path', '-', '--frame', 'line', '--server-addr', first!.url('a')]);
    for (const one of [ours, client]) await one.says(/connected to .* \(s0\)/);
    client.child.stdin!.write('one\n');
    await until('the first line', () => String(ours.stdout) === 'one\n');
    first!.signal('SIGUSR2');
    for (const one of [ours, client]) {
      await one.says('is shutting down: moving to another server');
      await one.says(/connected to .* \(s1\)/);
      t.notMatch(one.stderr, /trying again/);
    }
    client.child.stdin!.end('two\n');
    t.equal(await client.exited, 0, client.stderr);
    await until('the second line', () => String(ours.stdout) === 'one\ntwo\n');
    t.notMatch(client.stderr, /lost/);
  },
);

t.test(
  'a subscriber that is stalled: what the server does to it is reported as possible loss',
  { skip: noServer },
  async (t) => {
    const server = await NatsServer.start(t, { config: 'write_deadline: "500ms"\nmax_pending: 1MB' });
    const peer = await peerOf(t, server);
    const ours = receive(t, server.url('a'));
    await ours.says('connected to');
    ours.child.kill('SIGSTOP');
    await until(
      'the server gives up',
      async () => {
        for (let i = 0; i < 100; i++) peer.publish('a', Buffer.alloc(60_000, 'x'));
        await peer.flush();
        return /Slow Consumer/.test(server.log);
      },
      60_000,
    );
    ours.child.kill('SIGCONT');
    await ours.says(/disconnected for .*: messages may be lost/, 30_000);
  },
);

t.test(
  'max_payload: lines are cut where a stream may be cut, a datagram is counted',
  { skip: noServer },
  async (t) => {
    const server = await NatsServer.start(t, { config: 'max_payload: 1000' });
    const got = await collect(await peerOf(t, server), 'a');
    const client = start(t, 'client', ['--path', '-', '--server-addr', server.url('a')]);
    await client.says('connected to');
    const input = `${'a'.repeat(700)}\n${'b'.repeat(700)}\n${'c'.repeat(2500)}\n`;
    client.child.stdin!.end(input);
    t.equal(await client.exited, 0, client.stderr);
    await until('all of it', () => got.join('').length >= input.length);
    t.equal(got.join(''), input);
    t.ok(got.every(({ length }) => length <= 1000));
    const forward = start(t, 'forward', [
      '--udp-listen-addr',
      '127.0.0.1:0',
      '--udp-downstream-addr',
      server.url('b'),
    ]);
    await forward.says('connected to');
    const { createSocket } = await import('node:dgram');
    const socket = createSocket('udp4');
    t.teardown(() => socket.close());
    socket.send(Buffer.alloc(1001), await forward.port(), '127.0.0.1');
    await forward.says(
      /lost in all: .*datagram too big, 1 time; the server takes up to 1000 B \(max_payload\)/,
    );
    t.equal(await forward.stop(), 0);
  },
);
