import t from 'tap';
import { start, startProgram } from '../support/command.js';
import { lan, noNamespaces } from '../support/namespace.js';
import { got, listen, missing, noIptables, reader, send } from './tools.js';

const GROUPS = [
  '239.7.7.7:9922,interface=eth0',
  '[ff05::77]:9922,interface=eth0',
  '[ff02::77]:9922,interface=eth0',
  '[ff02::77%eth0]:9922',
  '[ff05::77%eth0]:9922',
];

for (const group of GROUPS) {
  const skip = noNamespaces || missing('socat');
  t.test(`forward, ${group} and reverse stand on three hosts, a fourth sees it too`, { skip }, async (t) => {
    const { hosts } = lan(t, 4);
    const [a, b, c, d] = hosts;
    const third = await listen(t, c!, group);
    const reverse = start(t, 'reverse', ['--multicast-addr', group, '--tcp-output-addr', '10.77.0.2:9930'], {
      namespace: b!.name,
    });
    await reverse.says(/group .*interface eth0/);
    const client = await reader(t, d!, '10.77.0.2:9930');
    await reverse.says(/client.*10\.77\.0\.4/);
    const args = ['--udp-listen-addr', '10.77.0.1:9920', '--udp-downstream-addr', group];
    const forward = start(t, 'forward', args, { namespace: a!.name });
    await forward.says('listening:');
    await send(t, d!, 'one\ntwo\nend', '10.77.0.1:9920');
    await got(client, 'one\ntwo\nend');
    await got(third, 'one\ntwo\nend');
    for (const running of [forward, reverse, third]) t.equal(await running.stop(), 0, running.stderr);
  });
}

t.test(
  'another program in the group gets the same datagrams',
  { skip: noNamespaces || missing('socat') },
  async (t) => {
    const { hosts } = lan(t, 2);
    const [a, b] = hosts;
    for (const [group, socat] of [
      ['239.7.7.8:9922,interface=eth0', 'UDP4-RECV:9922,ip-add-membership=239.7.7.8:eth0'],
      ['[ff02::78]:9922,interface=eth0', 'UDP6-RECV:9922,ipv6-join-group=[ff02::78]:eth0'],
    ] as const) {
      const other = startProgram(t, 'socat', ['-dd', '-u', socat, '-'], { namespace: b!.name });
      await other.says('starting data transfer loop');
      await send(t, a!, 'seen\n', group);
      await got(other, 'seen\n');
      await other.kill();
    }
  },
);

t.test('ttl is the number of hops, 1 where none is given', { skip: noIptables }, async (t) => {
  const { hosts } = lan(t, 2);
  const [a, b] = hosts;
  b!.run('iptables', '-w', '-A', 'INPUT', '-p', 'udp', '-m', 'ttl', '--ttl-eq', '9', '-j', 'DROP');
  b!.run(
    'iptables',
    '-w',
    '-A',
    'INPUT',
    '-p',
    'udp',
    '-m',
    'ttl',
    '--ttl-eq',
    '1',
    '--dport',
    '9924',
    '-j',
    'DROP',
  );
  b!.run('ip6tables', '-A', 'INPUT', '-p', 'udp', '-m', 'hl', '--hl-eq', '9', '-j', 'DROP');
  b!.run(
    'ip6tables',
    '-A',
    'INPUT',
    '-p',
    'udp',
    '-m',
    'hl',
    '--hl-eq',
    '1',
    '--dport',
    '9924',
    '-j',
    'DROP',
  );
  for (const group of ['239.7.7.7:PORT,interface=eth0', '[ff05::77]:PORT,interface=eth0']) {
    const [at, other] = [9922, 9924].map((port) => group.replace('PORT', String(port)));
    const any = await listen(t, b!, at!);
    const far = await listen(t, b!, other!);
    await send(t, a!, 'nine\n', `${at},ttl=9`);
    await send(t, a!, 'one\n', at!);
    await got(any, 'one\n');
    t.equal(any.stdout.toString(), 'one\n', 'the datagram of nine hops was filtered out');
    await send(t, a!, 'default\n', other!);
    await send(t, a!, 'four\n', other!, '--ttl', '4');
    await got(far, 'four\n');
    t.equal(far.stdout.toString(), 'four\n', 'the default is one hop');
  }
});

t.test('loop=no keeps a copy from this host alone', { skip: noNamespaces }, async (t) => {
  const { hosts } = lan(t, 2);
  const [a, b] = hosts;
  for (const group of ['239.7.7.7:9922,interface=eth0', '[ff02::77]:9922,interface=eth0']) {
    const own = await listen(t, a!, group);
    const other = await listen(t, b!, group);
    await send(t, a!, 'away\n', `${group},loop=no`);
    await send(t, a!, 'both\n', group);
    await got(own, 'both\n');
    await got(other, 'away\nboth\n');
    t.equal(own.stdout.toString(), 'both\n');
  }
});

t.test(
  'several receivers of one host share the group, and get no other group of its port',
  { skip: noNamespaces },
  async (t) => {
    const { hosts } = lan(t, 2);
    const [a, b] = hosts;
    for (const [one, two] of [
      ['239.7.7.1:9922,interface=eth0', '239.7.7.2:9922,interface=eth0'],
      ['[ff02::71]:9922,interface=eth0', '[ff02::72]:9922,interface=eth0'],
    ] as const) {
      const first = await listen(t, b!, one);
      const second = await listen(t, b!, one);
      const other = await listen(t, b!, two);
      await send(t, a!, 'two\n', two);
      await send(t, a!, 'one\n', one);
      await got(first, 'one\n');
      await got(second, 'one\n');
      await got(other, 'two\n');
      for (const running of [first, second]) t.equal(running.stdout.toString(), 'one\n');
      t.equal(other.stdout.toString(), 'two\n');
    }
  },
);
