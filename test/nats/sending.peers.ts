import t from 'tap';
import { start } from '../support/command.js';
import { until } from '../support/wait.js';
import { jetConfig, streamOf } from './jet.js';
import { collect, peerOf } from './peer.js';
import { NatsServer, noServer } from './server.js';

/** Of 6 kB: longer than what the second configuration of a server accepts. */
const LONG = `${'x'.repeat(6000)}\n`;

t.test(
  'max_payload is smaller after a restart: the message that is too long is counted, the others are stored',
  { skip: noServer },
  async (t) => {
    const options = { config: jetConfig(t) };
    const server = await NatsServer.start(t, options);
    await streamOf(t, server, 'S', ['a'], { max_msgs: 1, discard: 'new' });
    const url = `${server.url('a')},stream=S`;
    const flags = ['--path', '-', '--frame', 'line', '--server-addr', url, '--linger', '30s'];
    const client = start(t, 'client', flags);
    // The stream is full: the second line is sent, and waits for its acknowledgement.
    client.child.stdin!.write(`first\n${LONG}`);
    await client.says('maximum messages exceeded');
    await server.kill();
    options.config += '\nmax_payload: 4096';
    await server.restart();
    const { manager } = await streamOf(t, server, 'T', ['b']);
    await manager.streams.update('S', { max_msgs: 100 });
    client.child.stdin!.end('last\n'.repeat(40));
    await client.exited;
    t.equal((await manager.streams.info('S')).state.messages, 41, client.stderr);
    t.match(
      client.stderr,
      /lost in all: .*datagram too big, 1 time; the server takes up to 4.* \(max_payload\)/,
    );
    t.notMatch(client.stderr, /Maximum Payload Violation|dropped/);
  },
);

t.test(
  'max_payload is smaller than the headers of a message to a stream: counted, no crash',
  { skip: noServer },
  async (t) => {
    const options = { config: jetConfig(t) };
    const server = await NatsServer.start(t, options);
    await streamOf(t, server, 'S', ['a']);
    await server.kill();
    options.config += '\nmax_payload: 64';
    await server.restart();
    const client = start(t, 'client', ['--path', '-', '--server-addr', `${server.url('a')},stream=S`]);
    await client.says('connected to');
    client.child.stdin!.end('a line\nanother line\n');
    t.equal(await client.exited, 1, client.stderr);
    t.match(client.stderr, /lost in all: .*datagram too big/);
    t.notMatch(client.stderr, /internal|RangeError/);
  },
);

t.test(
  'a queue for core NATS: the message that is too long for the server is counted, the others are sent',
  { skip: noServer },
  async (t) => {
    const server = await NatsServer.start(t, { config: 'max_payload: 4096' });
    await server.kill();
    const client = start(t, 'client', ['--path', '-', '--frame', 'line', '--server-addr', server.url('a')]);
    client.child.stdin!.write(`one\n${LONG}two\n`);
    await client.says('connection refused; trying again in');
    await server.restart();
    const got = await collect(await peerOf(t, server), 'a');
    await until('the first line', () => got.includes('one\n'), 30_000);
    client.child.stdin!.end('three\n');
    t.equal(await client.exited, 1, client.stderr);
    await until('the last line', () => got.includes('three\n'));
    t.strictSame(got, ['one\n', 'two\n', 'three\n']);
    t.match(
      client.stderr,
      /lost in all: .*datagram too big, 1 time; the server takes up to 4.* \(max_payload\)/,
    );
  },
);

t.test('a stream that acknowledges nothing is refused', { skip: noServer }, async (t) => {
  const server = await NatsServer.start(t, { config: jetConfig(t) });
  const { state } = await streamOf(t, server, 'S', ['a'], { no_ack: true });
  const client = start(t, 'client', ['--path', '-', '--server-addr', `${server.url('a')},stream=S`]);
  client.child.stdin!.end('a line\n');
  t.equal(await client.exited, 1);
  t.match(client.stderr, /stream S acknowledges nothing \(no_ack\)/);
  t.equal((await state()).messages, 0);
});
