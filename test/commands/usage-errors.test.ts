import t from 'tap';
import type { Name } from '../support/command.js';
import { lan, noNamespaces } from '../support/namespace.js';
import { fails } from './outcome.js';

type Case = [name: Name, args: string, culprit: string];

/** Where each command takes an address, with what else it needs. */
const ADDRESSES: [Name, string][] = [
  ['client', '--path - --server-addr'],
  ['server', '--path - --listen-addr'],
  ['forward', '--tee --udp-listen-addr'],
  ['forward', '--udp-listen-addr 127.0.0.1:0 --udp-downstream-addr'],
  ['forward', '--tee --tcp-connect-addr'],
  ['reverse', '--udp-listen-addr'],
  ['reverse', '--tcp-listen-addr'],
  ['reverse', '--tcp-output-addr'],
  ['reverse', '--udp-output-addr'],
  ['reverse', '--tee --multicast-addr'],
];

const BAD = [
  'nonsense',
  '127.0.0.1',
  ':9920',
  '127.0.0.1:',
  '127.0.0.1:65536',
  '127.0.0.1:-1',
  '127.0.0.1:http',
  '127.0.0.300:9920',
  '::1:9920',
  '[::1]',
  '[::g]:9920',
  'http://127.0.0.1:9920',
  '127.0.0.1:9920,bogus=1',
  '127.0.0.1:9920,Interface=lo',
];

/** User info where none is known, before and behind the check of the scheme. */
const SECRETS = ['nats://u:s3cret@', 'nats://s3cret@', 'ftp://u:s3cret@', 'tls://u:s3cret@', 'u:s3cret@'];

for (const flag of ['--tcp-connect-addr', '--udp-listen-addr']) {
  t.test(`${flag}: what it cannot read is shown without passwords and tokens`, async (t) => {
    for (const secret of SECRETS) {
      const stderr = await fails(t, 'forward', ['--tee', flag, `${secret}h:x,ttl=999`], 2, '***@h:x');
      t.notMatch(stderr, /s3cret/, secret);
    }
  });
}

for (const [at, [name, args]] of ADDRESSES.entries()) {
  const flag = args.split(' ').at(-1)!;
  t.test(`mproxy-${name} names ${flag} and the address that it cannot read`, async (t) => {
    // What one flag cannot read no flag can: the others have samples.
    const samples = name === 'client' ? BAD : BAD.filter((_, i) => i % 7 === at % 7);
    for (const address of samples) {
      const said = await fails(t, name, [...args.split(' '), address], 2, address);
      t.ok(said.includes(flag), `names ${flag} for ${address}`);
    }
  });
}

const CASES: Record<string, Case[]> = {
  'port 0 as a destination or group': [
    ['client', '--path - --server-addr 127.0.0.1:0', '127.0.0.1:0'],
    ['forward', '--udp-listen-addr 127.0.0.1:0 --udp-downstream-addr 127.0.0.1:0', '127.0.0.1:0'],
    ['forward', '--tee --tcp-connect-addr 127.0.0.1:0', '127.0.0.1:0'],
    ['reverse', '--tee --multicast-addr 239.77.0.1:0,interface=lo', '239.77.0.1:0'],
  ],
  'a unit that cannot be read': [
    ['client', '--path - --tee --rate 100', '--rate'],
    ['client', '--path - --tee --rate 5furlongs', '5furlongs'],
    ['client', '--path - --tee --rate 0pps', '--rate'],
    ['client', '--path - --tee --flush-after 5weeks', '5weeks'],
    ['client', '--path - --server-addr 127.0.0.1:9 --sndbuf 5KB', '5KB'],
    ['server', '--path - --listen-addr 127.0.0.1:0,rcvbuf=1XB', '1XB'],
    ['server', '--path - --listen-addr 127.0.0.1:0 --stats never', 'never'],
    ['forward', '--tee --tcp-connect-addr 127.0.0.1:9 --idle-timeout -5s', '-5s'],
    [
      'reverse',
      '--tcp-output-addr 127.0.0.1:0 --multicast-addr 239.77.0.1:9918,interface=lo --client-buffer 8mb',
      '8mb',
    ],
    [
      'reverse',
      '--tcp-output-addr 127.0.0.1:0 --multicast-addr 239.77.0.1:9918,interface=lo --client-timeout x',
      '--client-timeout',
    ],
  ],
  'a value out of range': [
    ['client', '--path - --server-addr 127.0.0.1:9 --payload 0', '--payload'],
    ['client', '--path - --server-addr 127.0.0.1:9 --payload 65508', '65508'],
    ['client', '--path - --server-addr 239.77.0.1:9920,interface=lo,ttl=256', 'ttl=256'],
    ['client', '--path - --server-addr 239.77.0.1:9920,interface=lo,loop=maybe', 'loop=maybe'],
    ['client', '--path - --server-addr 127.0.0.1:9 --frame words', 'words'],
    ['client', '--path - --tee --frame words', 'words'],
    ['server', '--path - --listen-addr 127.0.0.1:0,frame=', 'frame'],
    ['server', '--path x --listen-addr 127.0.0.1:0 --rotate-size 65535', '--rotate-size'],
    ['server', '--path x --listen-addr 127.0.0.1:0 --rotate-every 999ms', '--rotate-every'],
    ['server', '--path x --listen-addr 127.0.0.1:0 --rotate-size 1MB --keep 0', '--keep'],
    ['server', '--path - --listen-addr 127.0.0.1:0 --engine steam', 'steam'],
    [
      'reverse',
      '--tcp-listen-addr 127.0.0.1:0 --multicast-addr 239.77.0.1:9918,interface=lo --allow 10.0.0.0/33',
      '10.0.0.0/33',
    ],
  ],
  'what frame=mold cannot be, or is given without it': [
    ['client', '--path - --server-addr 127.0.0.1:9,frame=mold --payload 22', '--payload'],
    ['client', '--path - --server-addr 127.0.0.1:9,frame=mold --session elevenchars', 'elevenchars'],
    ['client', '--path - --server-addr 127.0.0.1:9,frame=mold --retain 64KiB', '64KiB'],
    ['client', '--path - --server-addr 127.0.0.1:9 --linger 1s', '--linger'],
    ['client', '--path - --server-addr 127.0.0.1:9,frame=mold --server-addr 127.0.0.1:10', 'mold and lines'],
    ['server', '--path - --listen-addr 127.0.0.1:0 --from-start', '--from-start'],
    ['server', '--path - --listen-addr 127.0.0.1:0 --once', '--once'],
    ['server', '--path - --listen-addr 127.0.0.1:0,frame=mold --request-addr 127.0.0.1:0', '127.0.0.1:0'],
    ['server', '--path - --listen-addr 127.0.0.1:0,frame=mold --request-addr 239.1.1.1:9', '239.1.1.1:9'],
    ['forward', '--tcp-connect-addr 127.0.0.1:9,frame=mold --tee', 'frame=mold'],
    ['forward', '--udp-listen-addr 127.0.0.1:0,frame=mold --tee --session x', '--session'],
    [
      'forward',
      '--udp-listen-addr 127.0.0.1:0,frame=mold --tcp-connect-addr 127.0.0.1:9 --tee --once',
      '--once',
    ],
    [
      'reverse',
      '--tcp-output-addr 127.0.0.1:0 --multicast-addr 239.77.0.1:9918,interface=lo --once',
      '--once',
    ],
  ],
  'an empty value': [['reverse', '--tcp-output-addr 127.0.0.1:0 --multicast-addr ', '--multicast-addr']],
  'a missing --path': [
    ['client', '--server-addr 127.0.0.1:9', '--path'],
    ['server', '--listen-addr 127.0.0.1:0', '--path'],
  ],
  'no source': [
    ['server', '--path -', '--listen-addr'],
    ['forward', '--udp-downstream-addr 127.0.0.1:9', '--udp-listen-addr'],
    ['forward', '--once --udp-listen-addr 127.0.0.1:0 --tee', '--once'],
    ['reverse', '--multicast-addr 239.77.0.1:9918,interface=lo', 'no source'],
  ],
  'no sink': [
    ['client', '--path -', '--server-addr'],
    ['forward', '--udp-listen-addr 127.0.0.1:0', '--udp-downstream-addr'],
    ['forward', '--tcp-connect-addr 127.0.0.1:9', '--udp-downstream-addr'],
  ],
  'an output that feeds its own input': [
    ['forward', '--udp-listen-addr 127.0.0.1:9701 --udp-downstream-addr 127.0.0.1:9701', '127.0.0.1:9701'],
    ['forward', '--udp-listen-addr 0.0.0.0:9701 --udp-downstream-addr 127.0.0.1:9701', '0.0.0.0:9701'],
    ['forward', '--udp-listen-addr [::]:9701 --udp-downstream-addr 127.0.0.1:9701', '[::]:9701'],
    [
      'forward',
      '--udp-listen-addr 239.77.0.1:9701,interface=lo --udp-downstream-addr 239.77.0.1:9701,interface=lo',
      '239.77.0.1:9701',
    ],
    [
      'reverse',
      '--udp-listen-addr 239.77.0.1:9918,interface=lo --multicast-addr 239.77.0.1:9918,interface=lo',
      '239.77.0.1:9918',
    ],
    [
      'reverse',
      '--udp-listen-addr 127.0.0.1:9701 --udp-output-addr 127.0.0.1:9701 --multicast-addr 239.77.0.1:9918,interface=lo',
      '127.0.0.1:9701',
    ],
  ],
  'a name that is none of a host': [
    [
      'forward',
      '--tcp-connect-addr tls://127.0.0.1:1 --udp-downstream-addr 127.0.0.1:9 --tls-servername .example',
      '--tls-servername',
    ],
  ],
  'flags that contradict each other': [
    ['client', '--path - --follow --tee', '--follow'],
    ['client', '--path x --from-end --tee', '--from-end'],
    ['server', '--path x --listen-addr 127.0.0.1:9701 --listen-addr 127.0.0.1:9701', '127.0.0.1:9701'],
    ['client', '--path - --server-addr 127.0.0.1:9,ttl=3', 'ttl'],
    ['server', '--path x --listen-addr 127.0.0.1:0 --keep 3', '--keep'],
    ['server', '--path x --listen-addr 127.0.0.1:0 --gzip', '--gzip'],
    ['server', '--path - --listen-addr 127.0.0.1:0 --rotate-size 1MiB', '--path'],
    [
      'reverse',
      '--tcp-output-addr tls://127.0.0.1:0 --multicast-addr 239.77.0.1:9918,interface=lo',
      '--tls-cert',
    ],
    [
      'reverse',
      '--udp-listen-addr 127.0.0.1:0 --tcp-output-addr 127.0.0.1:0 --multicast-addr 239.77.0.1:9918,interface=lo,loop=no',
      'loop',
    ],
  ],
};

for (const [what, cases] of Object.entries(CASES)) {
  t.test(`${what} is an error of the command line`, async (t) => {
    await Promise.all(cases.map(([name, args, culprit]) => fails(t, name, args.split(' '), 2, culprit)));
  });
}

t.test(
  'a zone that contradicts the interface is an error of the command line',
  { skip: noNamespaces },
  async (t) => {
    const namespace = lan(t, 1).hosts[0]!.name;
    const group = '[ff02::77%lo]:9701,interface=eth0';
    await fails(t, 'client', ['--path', '-', '--server-addr', group], 2, group, { namespace });
  },
);

t.test('--key=value is --key value', async (t) => {
  await fails(t, 'client', ['--path=-', '--server-addr=127.0.0.1:0'], 2, '127.0.0.1:0');
  await fails(t, 'server', ['--path=-', '--listen-addr=127.0.0.1:65536'], 2, '65536');
});
