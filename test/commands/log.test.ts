import t from 'tap';
import { type Running, start } from '../support/command.js';
import { freeUdpPort, udpSend, udpSink } from '../support/net.js';
import { until } from '../support/wait.js';

/** Every line of stderr: one that is not JSON fails. */
function lines({ stderr }: Running) {
  return stderr
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, any>);
}

t.test('--log json writes one object per message, and the counters with their names', async (t) => {
  const sink = await udpSink(t);
  const to = `127.0.0.1:${sink.port}`;
  const args = ['--log', 'json', '--stats', '0.2', '--udp-listen-addr', '127.0.0.1:0'];
  const forward = start(t, 'forward', [...args, '--udp-downstream-addr', to]);
  await until('it listens', () => forward.stderr.includes('"listening"'));
  const { fields, ...listening } = lines(forward).find(({ event }) => event === 'listening')!;
  t.match(listening, { level: 'info', program: 'mproxy-forward', text: /^listening: udp 127\.0\.0\.1:\d+$/ });
  t.equal(new Date(listening.time).toISOString(), listening.time);
  await udpSend(Number(fields.local.split(':')[1]), ['one\n', 'two\n']);
  const counted = () =>
    lines(forward).find(({ event, fields }) => event === 'stats' && fields.source.datagrams === 2);
  await until('both are counted', () => counted() !== undefined);
  t.match(counted()!.fields, {
    source: { name: '127.0.0.1:0', bytes: 8 },
    sinks: [{ name: to, errors: {} }],
  });
  t.equal(await forward.stop(), 0);
  t.equal(forward.stdout.length, 0);
});

t.test('errors of the command line and of the start are objects too, with their code', async (t) => {
  const cases: [args: string[], status: number, code: string, text: RegExp][] = [
    [['--log', 'json', '--bogus'], 2, 'MPROXY_USAGE', /unknown option '--bogus'/],
    [['--listen-addr', 'x', '--path', '-', '--log=json'], 2, 'MPROXY_USAGE', /--listen-addr: x: /],
    [
      ['--listen-addr', '127.0.0.1:0', '--path', '/nowhere/x', '--log=json'],
      1,
      'MPROXY_FILE',
      /\/nowhere\/x/,
    ],
  ];
  for (const [args, status, code, text] of cases) {
    const server = start(t, 'server', args);
    t.equal(await server.exited, status);
    const last = lines(server).at(-1)!;
    t.match(last, { level: 'error', program: 'mproxy-server', event: 'failed', text, fields: { code } });
  }
  const wrong = start(t, 'server', ['--listen-addr', '127.0.0.1:0', '--path', '-', '--log', 'xml']);
  t.equal(await wrong.exited, 2);
  t.match(wrong.stderr, /^mproxy-server: --log: xml: no such log format; use text, json\n$/);
});

t.test('bytes in a field that end lines or command terminals stay escaped on one line', async (t) => {
  const hostile = '/nowhere/\u0085\u009b31m\u2028\n{"level":"info"}';
  const server = start(t, 'server', ['--log', 'json', '--listen-addr', '127.0.0.1:0', '--path', hostile]);
  t.equal(await server.exited, 1);
  t.notMatch(server.stderr, /[\u007f-\u009f\u2028]/);
  t.ok(lines(server).every(({ program }) => program === 'mproxy-server'));
});

t.test('a loss is a warning, also with --quiet', async (t) => {
  const to = `127.0.0.1:${await freeUdpPort()}`;
  const client = start(t, 'client', [
    '--log',
    'json',
    '-q',
    '--stats',
    '0.1',
    '--path',
    '-',
    '--server-addr',
    to,
  ]);
  client.child.stdin!.write('to nobody\n');
  await client.says('"datagrams":1');
  // The refusal is told by the next send.
  client.child.stdin!.end('nor this\n');
  t.equal(await client.exited, 0);
  const others = lines(client).filter(({ event }) => event !== 'stats');
  t.match(others, [{ level: 'warning', event: 'lost' }]);
});

t.test('--progress is an event with its figures', async (t) => {
  const client = start(t, 'client', ['--log', 'json', '--progress', '--path', '-', '--tee']);
  client.child.stdin!.end('line\n');
  t.equal(await client.exited, 0);
  const progress = lines(client).findLast(({ event }) => event === 'progress')!;
  t.match(progress, { level: 'info', fields: { bytes: 5 } });
});
