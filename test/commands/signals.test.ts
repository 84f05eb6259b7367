import { join } from 'node:path';
import t from 'tap';
import { type Name, start } from '../support/command.js';
import { tcpServer, udpSend, udpSink } from '../support/net.js';
import { until } from '../support/wait.js';

const ENDLESS: [Name, string[], RegExp][] = [
  ['client', ['--path', '-', '--server-addr', '127.0.0.1:9'], /sending: /],
  ['server', ['--path', '/dev/null', '--listen-addr', '127.0.0.1:0'], /listening: /],
  ['forward', ['--tee', '--udp-listen-addr', '127.0.0.1:0'], /listening: /],
  ['forward', ['--tee', '--tcp-connect-addr', '127.0.0.1:9'], /trying again/],
  [
    'reverse',
    ['--multicast-addr', '239.77.0.4:9918,interface=lo', '--tcp-output-addr', '127.0.0.1:0'],
    /group /,
  ],
  [
    'reverse',
    ['--multicast-addr', '239.77.0.4:9918,interface=lo', '--tcp-listen-addr', '127.0.0.1:0'],
    /tcp /,
  ],
];

for (const [name, args, ready] of ENDLESS) {
  t.test(`mproxy-${name} ${args.at(-2)} ends with 0 when asked to stop`, async (t) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const running = start(t, name, args);
      await running.says(ready);
      t.equal(await running.stop(signal), 0, signal);
      t.notMatch(running.stderr, /lost|\n {4}at /);
    }
  });
}

t.test('SIGHUP stops a program for which it has no other meaning: what it read is sent', async (t) => {
  const sink = await udpSink(t);
  const to = `127.0.0.1:${sink.port}`;
  const client = start(t, 'client', ['--path', '-', '--server-addr', to, '--stats', '0.1']);
  client.child.stdin!.write('one\nunfinished');
  await client.says('stats: -: 1 datagram');
  t.equal(await client.stop('SIGHUP'), 0);
  t.equal(String(await sink.has(14)), 'one\nunfinished');

  const upstream = await tcpServer(t, (socket) => socket.write('two\nunfinished'));
  const from = ['--tcp-connect-addr', `127.0.0.1:${upstream.port}`];
  const forward = start(t, 'forward', [...from, '--udp-downstream-addr', to]);
  await until('the line came', () => String(sink.bytes).includes('two\n'));
  t.equal(await forward.stop('SIGHUP'), 0);
  t.equal(String(await sink.has(29)), 'one\nunfinishedtwo\nunfinished\n');

  const group = ['--multicast-addr', '239.77.0.4:9918,interface=lo'];
  const reverse = start(t, 'reverse', [...group, '--tcp-output-addr', '127.0.0.1:0']);
  await reverse.port(1);
  t.equal(await reverse.stop('SIGHUP'), 0, 'nothing of it is read from files');
});

t.test('SIGHUP does not stop a server, which opens its file again; SIGTERM then does', async (t) => {
  const server = start(t, 'server', ['--path', join(t.testdir(), 'out'), '--listen-addr', '127.0.0.1:0']);
  await server.port();
  server.child.kill('SIGHUP');
  await server.says('reopened');
  t.equal(await server.stop(), 0);
});

t.test('SIGHUP does not stop a server that has no file to open again', async (t) => {
  const server = start(t, 'server', ['--path', '-', '--listen-addr', '127.0.0.1:0', '--stats', '0.1']);
  const port = await server.port();
  server.child.kill('SIGHUP');
  await udpSend(port, ['after\n']);
  await until('it goes on', () => String(server.stdout) === 'after\n');
  // Had it stopped, the first would have been read and written out, and no second one.
  await udpSend(port, ['again\n']);
  await until('it still does', () => String(server.stdout) === 'after\nagain\n');
  t.equal(await server.stop(), 0);
});

t.test('a second signal ends a command at once', async (t) => {
  // A client gives whoever reads its tee some time, so that one signal alone does not end this one at once.
  const client = start(t, 'client', ['--path', '/dev/zero', '--tee', '--frame', 'raw', '--stats', '0.1']);
  await client.says('stats: ');
  client.child.stdout!.pause();
  const lines = () => client.stderr.split('stats: ').length;
  const seen = lines();
  await until('it goes on', () => lines() > seen);
  // While it is stopped both gather, and come one right after the other.
  for (const signal of ['SIGSTOP', 'SIGINT', 'SIGTERM', 'SIGCONT'] as const) client.child.kill(signal);
  await until('it ended', () => !client.running);
  client.child.stdout!.resume();
  await client.exited;
  t.ok(client.signal === 'SIGTERM' || client.signal === 'SIGINT', 'as the signal does by itself');
  t.notMatch(client.stderr, 'did not take', 'without waiting for the reader');
});
