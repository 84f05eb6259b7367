import t, { type Test } from 'tap';
import { start } from '../support/command.js';
import { Host, noNamespaces } from '../support/namespace.js';
import { until } from '../support/wait.js';
import { got, listen, send } from './tools.js';

const skip = noNamespaces;
const onLinuxEngine = process.env.ENGINE === 'node' && 'the node engine needs an address (--engine linux)';

/** Two hosts on one cable: the first has an address on eth0, the second has none, of either family. */
async function cable(t: Test): Promise<{ addressed: Host; bare: Host }> {
  const [addressed, bare] = [new Host(t), new Host(t)];
  for (const host of [addressed, bare]) host.run('sysctl', '-qw', 'net.ipv6.conf.default.disable_ipv6=1');
  addressed.ip('link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', bare.name);
  addressed.ip('addr', 'add', '10.77.0.1/24', 'dev', 'eth0');
  for (const host of [addressed, bare]) host.ip('link', 'set', 'eth0', 'up');
  // The kernel reports that a link is up within a second (linkwatch_schedule_work, linux/net/core/link_watch.c).
  for (const host of [addressed, bare])
    await until('eth0 is up', () => host.run('cat', '/sys/class/net/eth0/operstate') === 'up\n');
  return { addressed, bare };
}

t.test(
  'a group is received on an interface that has no address',
  { skip: skip || onLinuxEngine },
  async (t) => {
    const { addressed, bare } = await cable(t);
    const group = '239.7.7.7:9920,interface=eth0';
    const server = await listen(t, bare, group, '--stats', '60');
    t.match(server.stderr, /engine: linux\n/);
    t.match(server.stderr, /listening: group 239\.7\.7\.7:9920 on interface eth0\n/);
    await send(t, addressed, 'hello\n', group);
    await got(server, 'hello\n');
  },
);

t.test('a group is sent by an interface that has no address', { skip: skip || onLinuxEngine }, async (t) => {
  const { addressed, bare } = await cable(t);
  const group = '239.7.7.7:9920,interface=eth0';
  // Datagrams from 0.0.0.0 are for DHCP alone; the host's other address stands in.
  bare.ip('addr', 'add', '10.78.0.2/32', 'dev', 'lo');
  addressed.run('sysctl', '-qw', 'net.ipv4.conf.all.rp_filter=0', 'net.ipv4.conf.eth0.rp_filter=0');
  const server = await listen(t, addressed, group);
  await send(t, bare, 'hello\n', group);
  await got(server, 'hello\n');
});

t.test(
  'an IPv4 group is received on an interface that has IPv6 alone',
  { skip: skip || onLinuxEngine },
  async (t) => {
    const { addressed, bare } = await cable(t);
    bare.run('sysctl', '-qw', 'net.ipv6.conf.eth0.disable_ipv6=0');
    bare.ip('addr', 'add', 'fd77::2/64', 'dev', 'eth0', 'nodad');
    const group = '239.7.7.7:9920,interface=eth0';
    const server = await listen(t, bare, group);
    await send(t, addressed, 'hello\n', group);
    await got(server, 'hello\n');
  },
);

t.test(
  'an address that arrives later changes nothing for who listens already',
  { skip: skip || onLinuxEngine },
  async (t) => {
    const { addressed, bare } = await cable(t);
    const group = '239.7.7.7:9920,interface=eth0';
    const server = await listen(t, bare, group);
    bare.ip('addr', 'add', '10.77.0.2/24', 'dev', 'eth0');
    await send(t, addressed, 'one\n', group);
    await got(server, 'one\n');
    bare.ip('addr', 'del', '10.77.0.2/24', 'dev', 'eth0');
    await send(t, addressed, 'two\n', group);
    await got(server, 'one\ntwo\n');
    t.notMatch(server.stderr, /is gone/);
  },
);

t.test('the node engine names --engine linux for an interface that has no address', { skip }, async (t) => {
  const { bare } = await cable(t);
  const group = '239.7.7.7:9920,interface=eth0';
  for (const [name, flag] of [
    ['server', '--listen-addr'],
    ['client', '--server-addr'],
  ] as const) {
    const running = start(t, name, ['--path', '-', flag, group, '--engine', 'node'], {
      namespace: bare.name,
    });
    t.equal(await running.exited, 1, running.stderr);
    t.match(running.stderr, /eth0 has no IPv4 address.*--engine linux\n/);
  }
});

t.test('an interface that is down is refused', { skip }, async (t) => {
  const { bare } = await cable(t);
  bare.ip('link', 'set', 'eth0', 'down');
  const args = ['--path', '-', '--listen-addr', '239.7.7.7:9920,interface=eth0'];
  const server = start(t, 'server', args, { namespace: bare.name });
  t.equal(await server.exited, 1, server.stderr);
  t.match(server.stderr, /no interface eth0 that is up; there is lo\n/);
});
