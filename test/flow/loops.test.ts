import { forbidLoops, forbidTwins, type Target } from 'mproxy-flow';
import { opener } from 'mproxy-flow/endpoints/udp/open';
import { udp } from 'mproxy-flow/endpoints/udp/type';
import type { Answer } from 'mproxy-net';
import { broadcastAddresses, chooseEngine, type Engine, listInterfaces, type NetInterface } from 'mproxy-net';
import { type AddressRule, parseAddress } from 'mproxy-net/address';
import t from 'tap';

const rule: AddressRule = { flag: '--addr', keys: ['interface'], listens: true };

/** `HOST:PORT[,interface=NAME]` with the one answer that it is; an interface of a test's own need not exist. */
function resolved(text: string, ...names: string[]): Target {
  const address = parseAddress(text, rule);
  const on = address.keys.interface;
  const ips = names.length > 0 ? names : [address.host];
  const answers = ips.map((ip): Answer => {
    const place: Answer = { ip, family: ip.includes(':') ? 6 : 4, port: address.port };
    if (address.zone !== undefined) place.zone = address.zone;
    return on === undefined ? place : { ...place, interface: made(on) };
  });
  return { type: udp, opener, address, answers };
}

const made = (name: string): NetInterface => ({ name, internal: false, addresses: [] });

/** An address of this host that is none of the loopback's, where it has one. */
const own = listInterfaces()
  .filter(({ internal }) => !internal)
  .flatMap(({ addresses }) => addresses)
  .find(({ family }) => family === 4)?.address;
const directed = broadcastAddresses().find((address) => address !== '255.255.255.255');

const GROUP = '239.77.9.1:5,interface=eth7';

const table: [input: string, output: string, loops: boolean][] = [
  ['127.0.0.1:5', '127.0.0.1:5', true],
  ['127.0.0.1:5', '127.0.0.1:6', false],
  ['127.0.0.1:5', '127.0.0.2:5', false],
  ['[::1]:5', '[0:0::1]:5', true],
  ['127.0.0.1:5', '[::ffff:127.0.0.1]:5', true],
  ['127.0.0.1:5', '[::1]:5', false],

  ['0.0.0.0:5', '127.0.0.1:5', true],
  ['0.0.0.0:5', '127.9.9.9:5', true],
  ['0.0.0.0:5', '127.0.0.1:6', false],
  ['0.0.0.0:5', '198.51.100.7:5', false],
  ['0.0.0.0:5', '255.255.255.255:5', true],
  ['0.0.0.0:5', '[::1]:5', false],
  ['0.0.0.0:5', '0.0.0.0:5', true],
  ['[::]:5', '[::1]:5', true],
  ['[::]:5', '127.0.0.1:5', true],
  ['[::]:5', '255.255.255.255:5', true],
  ['[::]:5', '0.0.0.0:5', true],
  ['[::]:5', '[2001:db8::7]:5', false],
  ['[::]:5', '198.51.100.7:5', false],
  // Sent to the wildcard, a datagram goes to 127.0.0.1 (Linux).
  ['127.0.0.1:5', '0.0.0.0:5', true],
  ['127.0.0.1:5', '[::]:5', false],
  ['[fe80::1%eth7]:5', '[fe80::1%eth7]:5', true],
  ['[fe80::1%eth7]:5', '[fe80::1%eth8]:5', false],

  ['0.0.0.0:5', GROUP, true],
  ['[::]:5', GROUP, true],
  ['0.0.0.0:5', '239.77.9.1:6,interface=eth7', false],
  ['[::]:5', '[ff15::7]:5,interface=eth7', true],
  ['0.0.0.0:5', '[ff15::7]:5,interface=eth7', false],
  ['127.0.0.1:5', GROUP, false],
  [GROUP, GROUP, true],
  [GROUP, '239.77.9.2:5,interface=eth7', false],
  [GROUP, '239.77.9.1:6,interface=eth7', false],
  [GROUP, '239.77.9.1:5,interface=eth8', false],
  [GROUP, '127.0.0.1:5', false],
  ['[ff15::7]:5,interface=eth7', '[ff15:0::7]:5,interface=eth7', true],
  ['[ff15::7]:5,interface=eth7', '[ff15::7]:5,interface=eth8', false],
  ...(own === undefined
    ? []
    : ([
        ['0.0.0.0:5', `${own}:5`, true],
        ['[::]:5', `${own}:5`, true],
      ] as [string, string, boolean][])),
  ...(directed === undefined ? [] : ([['0.0.0.0:5', `${directed}:5`, true]] as [string, string, boolean][])),
];

t.test('an output that feeds an input is refused, and nothing else is', (t) => {
  for (const [input, output, loops] of table) {
    const what = `${output} into ${input}`;
    const forbid = () => forbidLoops([resolved(input)], [resolved(output)]);
    if (loops) t.throws(forbid, { code: 'MPROXY_LOOP', exitStatus: 2 }, what);
    else t.doesNotThrow(forbid, what);
  }
  t.end();
});

t.test('a loop names both addresses as they were typed', (t) => {
  const inputs = [resolved('127.0.0.1:1'), resolved('[0:0::0]:5')];
  const outputs = [resolved('127.0.0.1:6'), resolved('LocalHost:5', '127.0.0.1')];
  t.throws(() => forbidLoops(inputs, outputs), { message: /LocalHost:5.*\[0:0::0\]:5/ });
  t.end();
});

t.test('any answer of a name may close a loop', (t) => {
  const input = resolved('many.example:5', '192.0.2.1', '::1');
  t.throws(() => forbidLoops([input], [resolved('[::1]:5')]), { code: 'MPROXY_LOOP' });
  t.doesNotThrow(() => forbidLoops([input], [resolved('[::2]:5')]));
  t.end();
});

t.test('nothing to compare is no loop', (t) => {
  t.doesNotThrow(() => forbidLoops([], [resolved('127.0.0.1:5')]));
  t.doesNotThrow(() => forbidLoops([resolved('127.0.0.1:5')], []));
  t.end();
});

t.test('one group on two interfaces is refused where the engine cannot keep them apart', (t) => {
  const node = chooseEngine('node').engine;
  const exact: Engine = { ...node, exactGroups: true };
  const here = resolved(GROUP);
  const there = resolved('239.77.9.1:5,interface=eth8');
  t.throws(() => forbidTwins(node, [here, there]), {
    code: 'MPROXY_GROUP',
    exitStatus: 1,
    message: /239\.77\.9\.1:5,interface=eth8.*--engine linux/,
  });
  t.doesNotThrow(() => forbidTwins(exact, [here, there]));
  t.doesNotThrow(() => forbidTwins(node, [here, resolved(GROUP)]), 'the same interface');
  t.doesNotThrow(() => forbidTwins(node, [here, resolved('239.77.9.1:6,interface=eth8')]), 'another port');
  t.doesNotThrow(() => forbidTwins(node, [here, resolved('239.77.9.2:5,interface=eth8')]), 'another group');
  t.end();
});
