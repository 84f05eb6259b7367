import t from 'tap';
import { start } from '../support/command.js';
import { type Host, lan, noNamespaces } from '../support/namespace.js';
import { until } from '../support/wait.js';
import { got, listen, send } from './tools.js';

const skip = noNamespaces;
/** The link-local address that the kernel gives host n of a LAN (RFC 4291, appendix A). */
const linkLocal = (n: number) => `fe80::77:ff:fe00:${n}`;

function indexOf(host: Host): string {
  return host.ip('-o', 'link', 'show', 'dev', 'eth0').split(':')[0]!;
}

t.test('a link-local address has a zone by name, by index, or by interface', { skip }, async (t) => {
  const [a, b] = lan(t, 2).hosts;
  const zone = `${linkLocal(2)}%eth0`;
  const zones = (host: Host) => [
    `[${linkLocal(2)}%eth0]:9922`,
    `[${linkLocal(2)}%${indexOf(host)}]:9922`,
    `[${linkLocal(2)}]:9922,interface=eth0`,
  ];
  const ways = zones(a!).map((out, i) => ({ out, into: zones(b!)[i]! }));
  for (const { out, into } of ways) {
    const server = await listen(t, b!, into);
    const client = await send(t, a!, 'hello\n', out);
    await got(server, 'hello\n');
    t.ok(server.stderr.includes(`listening: udp [${zone}]:9922\n`), server.stderr);
    t.ok(client.stderr.includes(`sending: udp [${zone}]:9922\n`), client.stderr);
    await server.stop();
  }
  const flag = await listen(t, b!, `[${linkLocal(2)}]:9922`, '--interface', '10.77.0.2');
  await send(t, a!, 'by flag\n', `[${linkLocal(2)}]:9922`, '--interface', 'eth0');
  await got(flag, 'by flag\n');
});

t.test('a zone by index serves groups, own addresses, TCP and requests', { skip }, async (t) => {
  const [a, b] = lan(t, 2).hosts;
  const [here, there] = [indexOf(a!), indexOf(b!)];
  const group = await listen(t, b!, `[ff02::77%${there}]:9923`);
  const bind = `${linkLocal(1)}%${here}`;
  await send(t, a!, 'group\n', `[ff02::77%${here}]:9923,bind=[${bind}]`);
  await got(group, 'group\n');
  t.match(group.stderr, /on interface eth0/);

  const reverse = start(
    t,
    'reverse',
    [
      ...['--tcp-output-addr', `[${linkLocal(2)}%${there}]:9924`],
      ...['--udp-listen-addr', `[${linkLocal(2)}%${there}]:9925`],
      ...['--multicast-addr', '[ff02::78%eth0]:9926'],
    ],
    { namespace: b!.name },
  );
  await reverse.says(`listening: tcp [${linkLocal(2)}%eth0]:9924\n`);
  const upstream = ['--tcp-connect-addr', `[${linkLocal(2)}%${here}]:9924,bind=[${bind}]`];
  const forward = start(t, 'forward', [...upstream, '--tee'], { namespace: a!.name });
  await forward.says('connected to');
  await send(t, a!, 'tcp\n', `[${linkLocal(2)}%${here}]:9925`);
  await got(forward, 'tcp\n');

  const repaired = ['--frame', 'mold', '--request-addr', `[${linkLocal(1)}%${there}]:9927`];
  const server = await listen(t, b!, '[ff02::79%eth0]:9928', ...repaired, '--from-start');
  const mold = start(
    t,
    'client',
    [
      '--path',
      '-',
      '--server-addr',
      `[ff02::79%eth0]:9928,bind=[${linkLocal(1)}%eth0]:9927`,
      '--frame',
      'mold',
    ],
    { namespace: a!.name },
  );
  mold.child.stdin!.write('mold\n');
  await got(server, 'mold\n');
  await mold.stop();
});

t.test('a link-local address without a zone is an error, and so is a zone twice', { skip }, async (t) => {
  const host = lan(t, 1).hosts[0]!;
  const bare = `[${linkLocal(9)}]:9920`;
  const other = `[${linkLocal(9)}%lo]:9920,interface=eth0`;
  const wrong: [name: Parameters<typeof start>[1], args: string[], why: RegExp][] = [
    ['client', ['--path', '-', '--server-addr', bare], /%zone/],
    ['client', ['--path', '-', '--server-addr', '127.0.0.1:9,bind=fe80::1'], /%zone/],
    ['client', ['--path', '-', '--server-addr', '[::1%lo]:9'], /has no zone/],
    ['client', ['--path', '-', '--server-addr', other], /contradicts interface=eth0/],
    [
      'client',
      ['--path', '-', '--server-addr', '[ff02::1%lo]:9,interface=eth0'],
      /contradicts interface=eth0/,
    ],
    ['server', ['--path', '-', '--listen-addr', bare], /%zone/],
    ['server', ['--path', '-', '--listen-addr', other], /contradicts interface=eth0/],
    ['forward', ['--tcp-connect-addr', bare, '--tee'], /%zone/],
    ['forward', ['--udp-listen-addr', bare, '--tee'], /%zone/],
    ['reverse', ['--tcp-listen-addr', bare, '--multicast-addr', '[ff02::1%eth0]:9'], /%zone/],
    ['reverse', ['--tcp-output-addr', bare, '--multicast-addr', '[ff02::1%eth0]:9'], /%zone/],
    ['reverse', ['--udp-output-addr', bare, '--multicast-addr', '[ff02::1%eth0]:9'], /%zone/],
  ];
  for (const [name, args, why] of wrong) {
    const running = start(t, name, args, { namespace: host.name });
    await until('it ended', () => running.ended);
    t.equal(running.status, 2, `${name} ${args.join(' ')}: ${running.stderr}`);
    t.match(running.stderr, why);
  }
  const nowhere = start(t, 'client', ['--path', '-', '--server-addr', '[fe80::1%nowhere]:9'], {
    namespace: host.name,
  });
  t.equal(await nowhere.exited, 1);
  t.match(nowhere.stderr, /no interface nowhere that is up; there is .*eth0/);
});
