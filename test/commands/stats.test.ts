import t from 'tap';
import { start } from '../support/command.js';
import { freeUdpPort, udpSend, udpSink } from '../support/net.js';
import { inOneOfSome, untrue } from '../support/tries.js';
import { until } from '../support/wait.js';

t.test('--stats tells every period what went in and out', async (t) => {
  const sink = await udpSink(t);
  const to = ['--udp-downstream-addr', `127.0.0.1:${sink.port}`];
  for (const period of [['--stats', '0.2'], ['--stats=200ms']]) {
    const forward = start(t, 'forward', [...period, '--udp-listen-addr', '127.0.0.1:0', ...to]);
    await udpSend(await forward.port(), ['one\n', 'two\n']);
    const line = `stats: 127.0.0.1:0: 2 datagrams 8 B -> 127.0.0.1:${sink.port}: 2 datagrams 8 B`;
    await forward.says(line);
    const lines = () => forward.stderr.split(`mproxy-forward: ${line}\n`).length - 1;
    await until('it is told again', () => lines() >= 3);
    t.equal(await forward.stop(), 0);
    t.equal(forward.stdout.length, 0, 'nothing on stdout');
  }
});

t.test('--stats alone is a line a second', async (t) => {
  await inOneOfSome(t, async () => {
    const begun = performance.now();
    const server = start(t, 'server', ['--stats', '--path', '/dev/null', '--listen-addr', '127.0.0.1:0']);
    const lines = () => server.stderr.match(/^mproxy-server: stats: /gm)?.length ?? 0;
    await until('three lines', () => lines() >= 3, 20_000);
    const took = Math.round(performance.now() - begun);
    t.ok(took > 2900, `not sooner: ${took} ms`);
    t.equal(await server.stop(), 0);
    return untrue({ [`three lines in ${took} ms`]: took < 4500 });
  });
});

t.test('the last line of --stats has everything', async (t) => {
  const sink = await udpSink(t);
  const to = ['--server-addr', `127.0.0.1:${sink.port}`, '--stats', '1h'];
  const client = start(t, 'client', ['--path', '-', ...to]);
  client.child.stdin!.end('one\ntwo\n');
  t.equal(await client.exited, 0);
  t.match(client.stderr, /stats: -: 1 datagram 8 B -> 127\.0\.0\.1:\d+: 1 datagram 8 B\n$/);
});

t.test('--quiet says nothing, but what is lost', async (t) => {
  const port = await freeUdpPort();
  for (const flag of ['--quiet', '-q']) {
    const args = ['--udp-listen-addr', '127.0.0.1:0', '--tee', flag];
    const quiet = start(t, 'forward', [...args, '--stats', '0.1']);
    await quiet.says('stats: ');
    t.equal(await quiet.stop(), 0);
    t.notMatch(quiet.stderr, /listening|sending/);
  }
  const client = start(t, 'client', [
    '-q',
    '--path',
    '-',
    '--server-addr',
    `127.0.0.1:${port}`,
    '--stats',
    '0.1',
  ]);
  client.child.stdin!.write('to nobody\n');
  await client.says('1 datagram 10 B -> ');
  // One refusal is told by the next send.
  client.child.stdin!.end('nor this\n');
  t.equal(await client.exited, 0);
  t.match(client.stderr, /^mproxy-client: lost in all: 127\.0\.0\.1:\d+: connection refused, \d times?$/m);
});
