import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { Name } from '../support/command.js';
import { NameServer, noNameServer } from '../support/dns.js';
import { tcpServer, udpSink } from '../support/net.js';
import { until } from '../support/wait.js';

const SECOND = 1000;
const skip = noNameServer;
const group = '239.77.0.5:9918,interface=lo';

/** Each waits for a name that no server answers for: at the start, where everything must be open first. */
const STARTS: [Name, string[]][] = [
  ['client', ['--path', '-', '--server-addr', 'dead.test:9']],
  ['client', ['--path', '-', '--server-addr', 'dead.test:9', '--frame', 'mold']],
  ['client', ['--path', '-', '--server-addr', '127.0.0.1:9,bind=dead.test', '--frame', 'mold']],
  ['server', ['--path', '/dev/null', '--listen-addr', 'dead.test:0']],
  ['server', ['--path', '/dev/null', '--listen-addr', '127.0.0.1:0', '--status-addr', 'dead.test:0']],
  ['forward', ['--udp-listen-addr', '127.0.0.1:0', '--udp-downstream-addr', 'dead.test:9']],
  ['reverse', ['--multicast-addr', group, '--udp-output-addr', 'dead.test:9']],
];

/** The same while they run. */
const RUNS: [Name, string[]][] = [
  [
    'server',
    ['--path', '/dev/null', '--listen-addr', '127.0.0.1:0,frame=mold', '--request-addr', 'dead.test:9'],
  ],
  ['forward', ['--tee', '--udp-listen-addr', '127.0.0.1:0', '--tcp-connect-addr', 'dead.test:9']],
  [
    'reverse',
    [
      '--multicast-addr',
      `${group},frame=mold`,
      '--tcp-output-addr',
      '127.0.0.1:0',
      '--request-addr',
      'dead.test:9',
    ],
  ],
];

for (const [when, programs] of [
  ['starts', STARTS],
  ['runs', RUNS],
] as const) {
  for (const [name, args] of programs) {
    t.test(`mproxy-${name} ${args.join(' ')} stops at once while it ${when}`, { skip }, async (t) => {
      const dns = await new NameServer(t).up();
      const running = dns.start(name, args);
      await until('the name is asked for', () => dns.asked.includes('dead.test') || running.ended);
      if (when === 'runs') await running.says('listening: ');
      const asked = performance.now();
      t.equal(await running.stop(), 0, running.stderr);
      const took = performance.now() - asked;
      t.ok(took < SECOND, `within a second: ${took.toFixed(0)} ms`);
      t.notMatch(running.stderr, /abort|lost|\n {4}at /i);
    });
  }
}

t.test('five names without an answer delay neither a sixth name nor an address', { skip }, async (t) => {
  const dns = await new NameServer(t).up();
  dns.hosts.set('alive.test', '127.0.0.1');
  const { port } = await tcpServer(t, (socket) => socket.write('line\n'));
  const up = (host: string) => ['--tcp-connect-addr', `${host}:${port}`];
  const dead = Array.from({ length: 5 }, (_, i) => up(`dead${i}.test`)).flat();
  const begin = performance.now();
  const forward = dns.start('forward', ['--tee', ...dead, ...up('alive.test'), ...up('127.0.0.1')]);
  await forward.says(`upstream: alive.test:${port}: connected to 127.0.0.1:${port}`);
  await forward.says(`upstream: 127.0.0.1:${port}: connected`);
  const took = performance.now() - begin;
  // A name server that does not answer is waited for 5 seconds (resolv.conf(5)).
  t.ok(took < 4 * SECOND, `both are connected after ${took.toFixed(0)} ms`);
  await until('both are read', () => String(forward.stdout) === 'line\nline\n');
  t.equal(await forward.stop(), 0);
});

t.test('a name that does not resolve is named once', { skip }, async (t) => {
  const dns = await new NameServer(t).up();
  dns.hosts.set('none.test', '');
  const forward = dns.start('forward', ['--tee', '--tcp-connect-addr', 'none.test:9']);
  await forward.says(/^mproxy-forward: upstream: none\.test:9: the name does not resolve; trying again in /m);
  t.equal(await forward.stop(), 0);
  const bound = dns.start('forward', ['--tee', '--tcp-connect-addr', '127.0.0.1:9,bind=none.test']);
  await bound.says(/upstream: 127\.0\.0\.1:9\S*: look-up: none\.test: the name does not resolve/);
  t.equal(await bound.stop(), 0);
  const client = dns.start('client', ['--path', '-', '--server-addr', 'none.test:9']);
  t.equal(await client.exited, 1);
  const why = 'the name does not resolve; check the name, or write an IP address';
  t.equal(client.stderr, `mproxy-client: look-up: none.test:9: ${why}\n`);
});

t.test('a name of the hosts file needs no name server', { skip }, async (t) => {
  const dns = await new NameServer(t).up();
  const sink = await udpSink(t);
  const client = dns.start('client', ['--path', '-', '--server-addr', `localhost:${sink.port}`]);
  client.child.stdin?.end('line\n');
  t.equal(await client.exited, 0, client.stderr);
  t.strictSame(dns.asked, []);
  t.equal(String(await sink.has(5)), 'line\n');
});

t.test('NODE_OPTIONS is for the program, not for its resolver', { skip }, async (t) => {
  const dns = await new NameServer(t).up();
  dns.hosts.set('alive.test', '127.0.0.1');
  const sink = await udpSink(t);
  const folder = t.testdir({
    'loaded.cjs': "require('node:fs').appendFileSync(__dirname + '/loaded', process.pid + '\\n');",
  });
  const script = fileURLToPath(new URL('../../../bin/mproxy-client', import.meta.url));
  const options = `NODE_OPTIONS=--require ${join(folder, 'loaded.cjs')}`;
  const args = ['--path', '-', '--server-addr', `alive.test:${sink.port}`, '--engine', 'node'];
  const client = dns.run(['env', options, process.execPath, script, ...args]);
  client.child.stdin?.end('line\n');
  t.equal(await client.exited, 0, client.stderr);
  t.equal(String(await sink.has(5)), 'line\n');
  t.equal(readFileSync(join(folder, 'loaded'), 'utf8'), `${client.child.pid}\n`);
});
