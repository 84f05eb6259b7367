import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { start } from '../support/command.js';
import { type Host, lan, noNamespaces } from '../support/namespace.js';
import { until } from '../support/wait.js';
import { got, listen, nameHosts, send } from './tools.js';

t.test('[::] takes IPv4 too, unless 0.0.0.0 is asked as well', { skip: noNamespaces }, async (t) => {
  const { hosts } = lan(t, 2);
  const [a, b] = hosts;
  const both = await listen(t, b!, '[::]:9922');
  await send(t, a!, 'four\n', '10.77.0.2:9922');
  await send(t, a!, 'six\n', '[fd77::2]:9922');
  await got(both, 'four\nsix\n');
  t.equal(await both.stop(), 0);

  for (const listens of [
    ['[::]:9922', '0.0.0.0:9922'],
    ['0.0.0.0:9922', '[::]:9922'],
  ]) {
    const cwd = t.testdir();
    const args = ['--path', 'log', ...listens.flatMap((address) => ['--listen-addr', address])];
    const server = start(t, 'server', args, { namespace: b!.name, cwd });
    await server.says(/listening:[\s\S]*listening:/);
    await send(t, a!, 'four\n', '10.77.0.2:9922');
    await send(t, a!, 'six\n', '[fd77::2]:9922');
    const read = (name: string) => readFileSync(join(cwd, name), 'latin1');
    await until('both are written', () => read('log.[::]:9922') !== '' && read('log.0.0.0.0:9922') !== '');
    t.equal(await server.stop(), 0);
    t.equal(read('log.[::]:9922'), 'six\n');
    t.equal(read('log.0.0.0.0:9922'), 'four\n');
  }
});

t.test('link-local unicast goes with its zone', { skip: noNamespaces }, async (t) => {
  const { hosts } = lan(t, 2);
  const [a, b] = hosts;
  const [, address] = /inet6 (fe80::[0-9a-f:]+)/.exec(
    b!.ip('-6', 'addr', 'show', 'dev', 'eth0', 'scope', 'link'),
  )!;
  const server = await listen(t, b!, `[${address}%eth0]:9922`);
  await send(t, a!, 'near\n', `[${address}%eth0]:9922`);
  await got(server, 'near\n');
});

t.test('a name to listen on means every answer that is of this host', { skip: noNamespaces }, async (t) => {
  const { hosts } = lan(t, 2);
  const [a, b] = hosts;
  nameHosts(t, b!, [
    '127.0.0.1 localhost',
    '10.77.0.2 here',
    'fd77::2 here',
    '10.77.0.99 here',
    '10.77.0.99 away',
  ]);
  const server = await listen(t, b!, 'here:9922');
  await server.says(/listening: udp [\s\S]*listening: udp /);
  await server.says('skipping 10.77.0.99');
  await send(t, a!, 'four\n', '10.77.0.2:9922');
  await send(t, a!, 'six\n', '[fd77::2]:9922');
  await got(server, 'four\n');
  await got(server, 'six\n');

  const anyPort = await listen(t, b!, 'here:0');
  t.equal(await anyPort.port(0), await anyPort.port(1), 'one port for all answers');

  const nowhere = start(t, 'server', ['--path', '-', '--listen-addr', 'away:9922'], { namespace: b!.name });
  await until('it ended', () => !nowhere.running);
  t.equal(await nowhere.exited, 1, nowhere.stderr);
  t.match(nowhere.stderr, /away:9922: .*not an address of this host/);
});

t.test(
  'a name to send to means its first answer, which the notice names',
  { skip: noNamespaces },
  async (t) => {
    const { hosts } = lan(t, 2);
    const [a, b] = hosts;
    nameHosts(t, a!, ['10.77.0.2 there', '10.77.0.1 there']);
    const other = await listen(t, a!, '10.77.0.1:9922');
    const server = await listen(t, b!, '10.77.0.2:9922');
    const client = await send(t, a!, 'first\n', 'there:9922');
    const [, chosen] = /sending: udp ([\d.]+):9922 for there:9922/.exec(client.stderr) ?? [];
    await got(chosen === '10.77.0.2' ? server : other, 'first\n');
  },
);

t.test(
  'a receive buffer that was asked for and not granted is said at the start',
  { skip: noNamespaces },
  async (t) => {
    const { hosts } = lan(t, 1);
    const [a] = hosts;
    const server = await listen(t, a!, '239.7.7.7:9922,interface=eth0,rcvbuf=1GiB');
    await server.says(/rcvbuf: .*its buffer is .* of 1 GiB: sysctl -w net\.core\.rmem_max=1073741824/);
    const modest = await listen(t, a!, '239.7.7.7:9923,interface=eth0,rcvbuf=64KiB');
    t.notMatch(modest.stderr, /rcvbuf:/);
  },
);

for (const address of [
  '239.7.7.7:9922,interface=eth0',
  '[ff02::77]:9922,interface=eth0',
  '10.77.0.2:9922',
  '[::]:9922',
]) {
  t.test(
    `what the kernel drops at ${address} is told, in --stats and on exit`,
    { skip: noNamespaces },
    async (t) => {
      const { hosts } = lan(t, 2);
      const [a, b] = hosts as [Host, Host];
      const server = await listen(
        t,
        b,
        `${address},rcvbuf=32KiB`.replace('interface', 'interface'),
        '--stats',
        '0.2',
      );
      server.child.kill('SIGSTOP');
      const to = address.startsWith('[::]') ? '10.77.0.2:9922' : address;
      const line = `${'z'.repeat(999)}\n`;
      await send(t, a, line.repeat(400), to, '--frame', 'line');
      server.child.kill('SIGCONT');
      await server.says(/stats: .*[\d,]+ kernel drops?/);
      t.equal(await server.stop(), 0, server.stderr);
      const told = [
        ...server.stderr.matchAll(
          /lost in all: .*the kernel dropped ([\d,]+) datagrams?: its receive buffer/g,
        ),
      ];
      const lost = Number(told.at(-1)![1]!.replace(',', ''));
      t.equal(
        server.stdout.length / line.length + lost,
        400,
        'what came and what was lost is all that was sent',
      );
    },
  );
}
