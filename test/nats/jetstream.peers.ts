import t, { type Test } from 'tap';
import { type Running, start } from '../support/command.js';
import { until } from '../support/wait.js';
import { jetServer, streamOf } from './jet.js';
import { NatsServer, noServer } from './server.js';

const receive = (t: Test, url: string, ...flags: string[]): Running =>
  start(t, 'server', ['--path', '-', '--listen-addr', url, ...flags]);

const publish = (t: Test, url: string, ...flags: string[]): Running =>
  start(t, 'client', ['--path', '-', '--frame', 'line', '--server-addr', url, ...flags]);

const lines = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => `line ${from + i}\n`).join('');

t.test('the official client reads from a stream what a client published', { skip: noServer }, async (t) => {
  const server = await jetServer(t);
  const { js, manager, state } = await streamOf(t, server, 'S', ['a.>']);
  const client = publish(t, `${server.url('a.b')},stream=S`, '--stats', '1');
  client.child.stdin!.end(lines(0, 3000));
  t.equal(await client.exited, 0, client.stderr);
  t.match(client.stderr, /3,000 acknowledged/);
  t.equal((await state()).messages, 3000);
  await manager.consumers.add('S', { durable_name: 'C', ack_policy: 'none' });
  const got: string[] = [];
  const messages = await (await js.consumers.get('S', 'C')).fetch({ max_messages: 3000 });
  for await (const message of messages) got.push(message.string());
  t.equal(got.join(''), lines(0, 3000));
});

t.test(
  'a server reads what the official client published: new messages alone, or --from-start',
  { skip: noServer },
  async (t) => {
    const server = await jetServer(t);
    const { js } = await streamOf(t, server, 'S', ['a']);
    for (let i = 0; i < 100; i++) await js.publish('a', `line ${i}\n`);
    const url = `${server.url('a')},stream=S`;
    const all = receive(t, url, '--from-start');
    await until('the first 100', () => String(all.stdout) === lines(0, 100));
    const fresh = receive(t, url);
    await until('new messages', async () => {
      await js.publish('a', 'probe\n');
      return fresh.stdout.length > 0;
    });
    t.notMatch(String(fresh.stdout), /line/);
    for (const one of [all, fresh]) t.equal(await one.stop(), 0, one.stderr);
    t.notMatch(all.stderr + fresh.stderr, /lost/);
  },
);

t.test(
  'a stream that is missing or does not store the subject, and no JetStream',
  { skip: noServer },
  async (t) => {
    const server = await jetServer(t);
    await streamOf(t, server, 'S', ['b.*']);
    const plain = await NatsServer.start(t);
    const cases: [url: string, error: RegExp][] = [
      [
        `${server.url('a')},stream=N`,
        /stream N does not exist; create it: nats --server 127\.0\.0\.1:\d+ stream add N --subjects 'a' --storage file/,
      ],
      [
        `${server.url('a')},stream=S`,
        /stream S stores b\.\*, not the subject; add it: nats stream edit S --subjects 'b\.\*,a'/,
      ],
      [`${plain.url('a')},stream=S`, /JetStream is not enabled on the server/],
    ];
    for (const [url, error] of cases) {
      for (const program of [publish(t, url), receive(t, url)]) {
        t.equal(await program.exited, 1);
        t.match(program.stderr, error);
      }
    }
  },
);

t.test('a full stream: the client waits, and loses nothing', { skip: noServer }, async (t) => {
  const server = await jetServer(t);
  const { manager, state } = await streamOf(t, server, 'S', ['a'], { discard: 'new', max_msgs: 10 });
  const client = publish(t, `${server.url('a')},stream=S`);
  client.child.stdin!.end(lines(0, 30));
  await client.says(/maximum messages exceeded.*; sending again in/);
  t.equal((await state()).messages, 10);
  await manager.streams.update('S', { max_msgs: 1000 });
  t.equal(await client.exited, 0, client.stderr);
  t.equal((await state()).messages, 30);
  t.notMatch(client.stderr, /lost/);
});

t.test('a full stream at the end: what it did not take is reported', { skip: noServer }, async (t) => {
  const server = await jetServer(t);
  await streamOf(t, server, 'S', ['a'], { discard: 'new', max_msgs: 10 });
  const client = publish(t, `${server.url('a')},stream=S`, '--linger', '500ms', '--stats', '1');
  client.child.stdin!.end(lines(0, 30));
  t.equal(await client.exited, 1);
  const bytes = Buffer.byteLength(lines(0, 10));
  t.match(
    client.stderr,
    new RegExp(`stream=S: 10 datagrams ${bytes} B`),
    'what it did not take is not counted as sent',
  );
  t.match(
    client.stderr,
    /lost in all: .*dropped 20 datagrams: the stream did not acknowledge them before the end/,
  );
});

t.test('a relay drops what does not fit --retain, and counts it', { skip: noServer }, async (t) => {
  const server = await jetServer(t);
  const { state } = await streamOf(t, server, 'S', ['a'], { discard: 'new', max_msgs: 10 });
  const url = `${server.url('a')},stream=S`;
  const forward = start(t, 'forward', [
    ...['--udp-listen-addr', '127.0.0.1:0', '--udp-downstream-addr', url, '--retain', '1MiB'],
  ]);
  const { createSocket } = await import('node:dgram');
  const socket = createSocket('udp4');
  t.teardown(() => socket.close());
  const port = await forward.port();
  await until('the buffer is full', () => {
    for (let i = 0; i < 10; i++) socket.send(Buffer.alloc(8000), port, '127.0.0.1');
    return /lost in all: .*dropped .* datagrams?: the stream did not acknowledge them in time; see --retain/.test(
      forward.stderr,
    );
  });
  t.equal((await state()).messages, 10);
});

t.test('a message that the stream refuses for good is reported', { skip: noServer }, async (t) => {
  const server = await jetServer(t);
  const { state } = await streamOf(t, server, 'S', ['a'], { max_msg_size: 200 });
  const client = publish(t, `${server.url('a')},stream=S`, '--stats', '1');
  client.child.stdin!.end(`short\n${'x'.repeat(300)}\nlast\n`);
  t.equal(await client.exited, 1);
  t.match(client.stderr, /1 datagram not sent/);
  t.match(client.stderr, /stream=S: 2 datagrams 11 B/);
  t.match(client.stderr, /a message was refused: .*message size exceeds maximum allowed/);
  t.match(client.stderr, /lost in all: .*1 message refused by the destination/);
  t.equal((await state()).messages, 2);
  const session = publish(t, `${server.url('a')},stream=S,frame=mold`);
  session.child.stdin!.end(`${'x'.repeat(300)}\n`);
  t.equal(await session.exited, 1, 'a packet of a session likewise');
  t.match(session.stderr, /lost in all: .*1 message refused by the destination/);
});

t.test('without JetStream: addresses and flags that contradict it', { skip: noServer }, async (t) => {
  const cases: [args: string[], error: RegExp][] = [
    [['--listen-addr', 'nats://h/a,durable=D'], /durable without a stream/],
    [['--listen-addr', 'nats://h/a,stream=S,queue=Q'], /stream and queue contradict each other/],
    [['--listen-addr', 'nats://h/a,stream=S.T'], /stream=S\.T is not a name/],
    [['--listen-addr', 'nats://h/a', '--from-start'], /--from-start: no address receives by/],
  ];
  for (const [args, error] of cases) {
    const program = start(t, 'server', ['--path', '-', ...args]);
    t.equal(await program.exited, 2);
    t.match(program.stderr, error);
  }
});

t.test('a peer removes a stream while it is used: reported, and resumed', { skip: noServer }, async (t) => {
  const server = await jetServer(t);
  const { manager } = await streamOf(t, server, 'S', ['a']);
  const ours = receive(t, `${server.url('a')},stream=S`);
  const client = publish(t, `${server.url('a')},stream=S`);
  for (const one of [ours, client]) await one.says('connected to');
  client.child.stdin!.write('one\n');
  await until('the first line', () => String(ours.stdout) === 'one\n');
  await manager.streams.delete('S');
  client.child.stdin!.write('two\n');
  await client.says(/no stream stores the subject, or it has no leader; sending again in/);
  await manager.streams.add({ name: 'S', subjects: ['a'] });
  await until('the second line', () => String(ours.stdout) === 'one\ntwo\n', 60_000);
  t.match(
    ours.stderr,
    /stream S was created again, or its last messages were removed: continuing at message/,
  );
});
