import t from 'tap';
import { start } from '../support/command.js';
import { Host, lan, noNamespaces } from '../support/namespace.js';
import { until } from '../support/wait.js';
import { got, listen, send } from './tools.js';

/** Runs a server that must refuse to start, and returns what it said. */
async function refused(
  t: Parameters<typeof start>[0],
  host: Host,
  name: 'server' | 'forward' | 'reverse',
  args: string[],
) {
  const running = start(t, name, args, { namespace: host.name });
  await until('it ended', () => !running.running);
  await running.exited;
  return running;
}

t.test(
  'a group without an interface takes one, and the notices name it',
  { skip: noNamespaces },
  async (t) => {
    const { hosts } = lan(t, 2);
    const [a, b] = hosts;
    for (const group of ['224.0.0.1:9922', '239.7.7.7:9922', '[ff02::1]:9922', '[ff05::77]:9922']) {
      const server = await listen(t, b!, group);
      const client = await send(t, a!, 'hello\n', group);
      await got(server, 'hello\n');
      t.match(server.stderr, /listening: group .*:9922 on interface eth0/);
      t.match(client.stderr, /sending: group .*:9922 by interface eth0/);
    }
  },
);

t.test("a group without an interface follows the host's routes", { skip: noNamespaces }, async (t) => {
  const { hosts } = lan(t, 1);
  const [a] = hosts;
  a!.ip('link', 'add', 'eth1', 'type', 'veth', 'peer', 'name', 'far');
  a!.ip('addr', 'add', '10.78.0.1/24', 'dev', 'eth1');
  for (const link of ['eth1', 'far']) a!.ip('link', 'set', link, 'up');
  a!.ip('route', 'add', '239.0.0.0/8', 'dev', 'eth1');
  const server = await listen(t, a!, '239.7.7.7:9922');
  t.match(server.stderr, /on interface eth1/);
});

t.test(
  'an IPv6 group that cannot be had is an error that says what to do',
  { skip: noNamespaces },
  async (t) => {
    const host = new Host(t);
    for (const group of ['[ff02::77]:9922', '[ff05::77]:9922']) {
      const address = `${group},interface=lo`;
      const client = start(t, 'client', ['--path', '-', '--server-addr', address], { namespace: host.name });
      client.child.stdin!.end('x\n');
      await until('it ended', () => !client.running);
      t.equal(await client.exited, 1, client.stderr);
      t.match(client.stderr, /interface=lo: network unreachable.*ff00::\/8/, 'it says what is missing');
    }
  },
);

t.test(
  'one group and port on two interfaces is refused, naming --engine linux',
  { skip: noNamespaces },
  async (t) => {
    const { hosts } = lan(t, 1);
    const [a] = hosts;
    const on = (name: string) => `239.7.7.7:9922,interface=${name}`;
    const commands: ['server' | 'forward' | 'reverse', string[]][] = [
      ['server', ['--path', '-', '--listen-addr', on('lo'), '--listen-addr', on('eth0')]],
      ['forward', ['--udp-listen-addr', on('lo'), '--udp-listen-addr', on('eth0'), '--tee']],
      ['forward', ['--udp-listen-addr', on('lo'), '--udp-downstream-addr', on('eth0')]],
      ['reverse', ['--udp-listen-addr', on('lo'), '--multicast-addr', on('eth0')]],
      ['reverse', ['--multicast-addr', on('lo'), '--udp-output-addr', on('eth0')]],
    ];
    for (const [name, args] of commands) {
      const running = await refused(t, a!, name, [...args, '--engine', 'node']);
      t.equal(running.status, 1, `${name} ${args.join(' ')}: ${running.stderr}`);
      t.match(running.stderr, /--engine linux/);
    }
    const client = await send(t, a!, 'x\n', on('eth0'), '--server-addr', on('lo'));
    t.match(client.stderr, /eth0[\s\S]*interface lo/, 'sending to both is no trouble');
  },
);

t.test('what feeds its own input is refused, naming both', { skip: noNamespaces }, async (t) => {
  const { hosts } = lan(t, 1);
  const [a] = hosts;
  const group = '239.7.7.7:9922,interface=eth0';
  const pairs = [
    ['0.0.0.0:9922', group],
    ['[::]:9922', group],
    ['[::]:9922', '[ff02::77]:9922,interface=eth0'],
    [group, group],
    [group, '239.7.7.7:9922,interface=10.77.0.1'],
    ['[ff02::77]:9922,interface=eth0', '[ff02::77%eth0]:9922'],
    ['0.0.0.0:9922', '10.77.0.255:9922'],
    ['0.0.0.0:9922', '255.255.255.255:9922'],
    ['0.0.0.0:9922', '10.77.0.1:9922'],
    ['[::]:9922', '10.77.0.1:9922'],
    ['[::]:9922', '[fd77::1]:9922'],
    ['[::]:9922', '[::1]:9922'],
    ['10.77.0.1:9922', '10.77.0.1:9922'],
  ] as const;
  for (const [input, output] of pairs) {
    const args = ['--udp-listen-addr', input, '--udp-downstream-addr', output];
    const forward = await refused(t, a!, 'forward', args);
    t.equal(forward.status, 2, `${input} ${output}: ${forward.stderr}`);
    t.ok(forward.stderr.includes(input) && forward.stderr.includes(output), forward.stderr);
  }
});

t.test('what does not feed its own input starts', { skip: noNamespaces }, async (t) => {
  const { hosts } = lan(t, 2);
  const [a] = hosts;
  const pairs = [
    ['0.0.0.0:9922', '10.77.0.2:9922'],
    ['0.0.0.0:9922', '[ff02::77]:9922,interface=eth0'],
    ['10.77.0.1:9922', '239.7.7.7:9922,interface=eth0'],
    ['239.7.7.7:9922,interface=eth0', '239.7.7.8:9922,interface=eth0'],
    ['239.7.7.7:9922,interface=eth0', '239.7.7.7:9923,interface=eth0'],
  ] as const;
  for (const [input, output] of pairs) {
    const args = ['--udp-listen-addr', input, '--udp-downstream-addr', output];
    const forward = start(t, 'forward', args, { namespace: a!.name });
    await forward.says('listening:');
    t.equal(await forward.stop(), 0, forward.stderr);
  }
});

t.test('broadcast destinations reach every host', { skip: noNamespaces }, async (t) => {
  const { hosts } = lan(t, 3);
  const [a, ...others] = hosts;
  const servers = [];
  for (const host of others) servers.push(await listen(t, host, '0.0.0.0:9922'));
  await send(t, a!, 'directed\n', '10.77.0.255:9922');
  a!.ip('route', 'add', 'default', 'dev', 'eth0');
  await send(t, a!, 'limited\n', '255.255.255.255:9922');
  for (const server of servers) await got(server, 'directed\nlimited\n');
});
