import { fileURLToPath } from 'node:url';
import { choosePayload } from 'mproxy-flow';
import { opener } from 'mproxy-flow/endpoints/udp/open';
import { udp } from 'mproxy-flow/endpoints/udp/type';
import { STREAM } from 'mproxy-flow/stream/flags';
import type { Answer } from 'mproxy-net';
import { listInterfaces, type NetInterface } from 'mproxy-net';
import t from 'tap';
import { Host, noNamespaces } from '../support/namespace.js';

const lo = listInterfaces().find(({ internal }) => internal)!;
const gone: NetInterface = { name: 'no-such-one', internal: false, addresses: [] };

const parsePayload = (given: string) => STREAM.payload.read(given, '--payload', {});
/** What fits the addresses that destinations resolved to. */
const fitting = (answers: Answer[]) =>
  choosePayload(
    undefined,
    answers.map((answer) => ({ type: udp, opener, address: {}, answers: [answer] })),
  );

t.test('the payload that was asked for is taken', async (t) => {
  t.equal(parsePayload('1'), 1);
  t.equal(await choosePayload(65_507, []), 65_507);
  for (const wrong of ['0', '65508', '-1', '1.5', 'big', '', '1e3'])
    t.throws(() => parsePayload(wrong), { code: 'MPROXY_USAGE', message: /^--payload: / }, wrong);
});

t.test('without an MTU to read it is what fits an Ethernet over IPv6', async (t) => {
  const answer: Answer = { ip: '192.0.2.1', family: 4, port: 5, interface: gone };
  t.equal(await fitting([answer]), 1452);
});

t.test(
  'on loopback it is what the original can receive',
  { skip: process.platform !== 'linux' && 'sysfs is Linux' },
  async (t) => {
    const four: Answer = { ip: '127.0.0.1', family: 4, port: 5 };
    const group: Answer = { ip: '239.77.9.1', family: 4, port: 5, interface: lo };
    t.equal(await fitting([four]), 8096);
    t.equal(await fitting([four, group]), 8096);
    t.equal(await fitting([]), 8096, 'a tee alone');
    t.equal(await fitting([four, { ...group, interface: gone }]), 1452, 'the smallest of all');
  },
);

t.test('elsewhere it is the smallest MTU less the headers', { skip: noNamespaces }, (t) => {
  const host = new Host(t);
  host.ip('link', 'add', 'small', 'mtu', '1500', 'type', 'veth', 'peer', 'name', 'large', 'mtu', '9000');
  for (const [name, net] of [
    ['small', 1],
    ['large', 2],
  ] as const) {
    host.run('sysctl', '-qw', `net.ipv6.conf.${name}.accept_dad=0`);
    host.ip('addr', 'add', `10.78.${net}.1/24`, 'dev', name);
    host.ip('addr', 'add', `fd78:${net}::1/64`, 'dev', name, 'nodad');
    host.ip('link', 'set', name, 'up');
  }
  const chosen = (...ips: string[]) => {
    const destinations = ips.map((ip) => ({ ip, family: ip.includes(':') ? 6 : 4, port: 5 }));
    const script = `import { choosePayload } from 'mproxy-flow';
      import { opener } from 'mproxy-flow/endpoints/udp/open';
      const targets = ${JSON.stringify(destinations)}.map((answer) => ({ opener, answers: [answer] }));
      console.log(await choosePayload(undefined, targets));`;
    return Number(
      host.run(
        'env',
        '-u',
        'NODE_OPTIONS',
        '-C',
        root,
        process.execPath,
        '--input-type=module',
        '-e',
        script,
      ),
    );
  };
  t.equal(chosen('10.78.1.2'), 1472);
  t.equal(chosen('fd78:1::2'), 1452);
  t.equal(chosen('10.78.2.2'), 8096, 'at most what the original can receive');
  t.equal(chosen('10.78.2.2', 'fd78:2::2'), 8096);
  t.equal(chosen('127.0.0.1', '10.78.2.2', '10.78.1.2'), 1472);
  t.equal(chosen('203.0.113.1'), 1452, 'without a route');
  host.ip('link', 'set', 'small', 'mtu', '1280');
  t.equal(chosen('10.78.1.2', 'fd78:1::2'), 1232);
  t.end();
});

const root = fileURLToPath(new URL('../../../', import.meta.url));
