import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { start } from '../support/command.js';
import { type Host, lan, noNamespaces } from '../support/namespace.js';
import { got, listen } from './tools.js';

const LINE = 'fifteen letters\n';

/** How many datagrams a client makes of a file. */
async function datagrams(t: Test, host: Host, text: string, ...addresses: string[]): Promise<number> {
  const file = join(t.testdir(), 'input');
  writeFileSync(file, text);
  const to = addresses.flatMap((address) => ['--server-addr', address]);
  const client = start(t, 'client', ['--path', file, '--stats', '60', ...to], { namespace: host.name });
  t.equal(await client.exited, 0, client.stderr);
  const counts = [...client.stderr.matchAll(/-> .*?: ([\d,]+) datagrams?/g)].map(([, count]) =>
    Number(count),
  );
  return counts[0] ?? -1;
}

t.test('a datagram is as full as the MTU of the interface lets it be', { skip: noNamespaces }, async (t) => {
  const { bridge, hosts } = lan(t, 2);
  const [a] = hosts;
  const four = '239.7.7.7:9922,interface=eth0';
  const six = '[ff02::77]:9922,interface=eth0';
  const cases: [number, number, string[]][] = [
    [1500, 1472, [four]],
    [1500, 1452, [six]],
    [1500, 1452, [four, six]],
    [1500, 1472, ['10.77.0.2:9922']],
    [1500, 1452, ['[fd77::2]:9922']],
    [1500, 1472, ['10.77.0.255:9922']],
    [1300, 1272, [four]],
    [1300, 1252, [six]],
    [9000, 8096, [four]],
    [1300, 8096, ['127.0.0.1:9922']],
    [1300, 8096, ['[::1]:9922']],
    [1300, 1272, ['127.0.0.1:9922', four]],
  ];
  for (const [mtu, payload, addresses] of cases) {
    // The other end of the cable, too: it drops what is larger (ENOBUFS).
    for (const [host, link] of [
      [bridge, 'port1'],
      [a!, 'eth0'],
    ] as const)
      host.ip('link', 'set', link, 'mtu', String(mtu));
    const fit = Math.floor(payload / LINE.length);
    const what = `MTU ${mtu}, ${addresses.join(' and ')}`;
    t.equal(await datagrams(t, a!, LINE.repeat(fit * 5), ...addresses), 5, `${what}: ${fit} lines fit`);
    t.equal(
      await datagrams(t, a!, LINE.repeat(fit * 5 + 1), ...addresses),
      6,
      `${what}: no more than ${fit}`,
    );
  }
});

t.test(
  'a line that is longer than the MTU arrives whole, in one datagram',
  { skip: noNamespaces },
  async (t) => {
    const { hosts } = lan(t, 2);
    const [a, b] = hosts;
    const long = `${'y'.repeat(60_000)}\n`;
    for (const group of ['239.7.7.7:9922,interface=eth0', '[ff02::77]:9922,interface=eth0']) {
      const server = await listen(t, b!, group);
      t.equal(await datagrams(t, a!, `before\n${long}after\n`, group), 3);
      await got(server, `before\n${long}after\n`);
    }
  },
);

t.test(
  'an MTU that shrinks while a client runs costs nothing: datagrams are fragmented',
  { skip: noNamespaces },
  async (t) => {
    const { hosts } = lan(t, 2);
    const [a, b] = hosts;
    const server = await listen(t, b!, '239.7.7.7:9922,interface=eth0');
    const args = ['--path', '-', '--server-addr', '239.7.7.7:9922,interface=eth0'];
    const client = start(t, 'client', args, { namespace: a!.name });
    await client.says('sending:');
    a!.ip('link', 'set', 'eth0', 'mtu', '1000');
    const text = LINE.repeat(500);
    client.child.stdin!.end(text);
    t.equal(await client.exited, 0, client.stderr);
    await got(server, text);
  },
);
