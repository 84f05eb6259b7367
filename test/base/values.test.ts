import { BlockList } from 'node:net';
import {
  parseDuration,
  parseInteger,
  parseRate,
  parseSize,
  showBytes,
  showCount,
  showDuration,
  showMemory,
} from 'mproxy-base';
import { addresses } from 'mproxy-flow';
import { DATAGRAMS } from 'mproxy-flow/endpoints/types';
import { KEYS } from 'mproxy-net/keys';
import t from 'tap';
import { readAllow, readKeys } from '../support/flags.js';

const usage = { code: 'MPROXY_USAGE' };

t.test('durations', (t) => {
  const read: [string | number, number][] = [
    ['10', 10_000],
    [10, 10_000],
    ['0.5', 500],
    ['.5', 500],
    [0.25, 250],
    ['0', 0],
    ['500ms', 500],
    ['500 ms', 500],
    ['10s', 10_000],
    ['1.5s', 1500],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['596h', 2_145_600_000],
  ];
  for (const [value, ms] of read) t.equal(parseDuration('--timeout', value), ms, String(value));
  for (const value of [
    '',
    's',
    '-1',
    '+1',
    '1e3',
    '1d',
    '5M',
    '10S',
    '1,5',
    '1.',
    'Infinity',
    'NaN',
    '1 0',
    '5 m ',
    '\n5',
    '597h',
    '9'.repeat(400),
  ])
    t.throws(() => parseDuration('--timeout', value), { ...usage, message: /^--timeout: / }, value);
  t.end();
});

t.test('sizes', (t) => {
  const read: [string | number, number][] = [
    ['4096', 4096],
    [4096, 4096],
    ['0', 0],
    ['7B', 7],
    ['1kB', 1000],
    ['2MB', 2e6],
    ['3GB', 3e9],
    ['1KiB', 1024],
    ['64 KiB', 65_536],
    ['8MiB', 8 * 2 ** 20],
    ['1GiB', 2 ** 30],
    ['1.5KiB', 1536],
    ['.5kB', 500],
  ];
  for (const [value, bytes] of read) t.equal(parseSize('--buffer', value), bytes, String(value));
  for (const value of [
    '',
    '1.5',
    '0.3KiB',
    '-1',
    '8mib',
    '8M',
    '8K',
    '8Mb',
    '1KB',
    '0x10',
    'many',
    '9'.repeat(400),
  ])
    t.throws(() => parseSize('--buffer', value), { ...usage, message: /^--buffer: / }, value);
  t.end();
});

t.test('rates', (t) => {
  const read: [string, string, number][] = [
    ['100Mbps', 'bits', 1e8],
    ['1.5Gbps', 'bits', 1.5e9],
    ['64kbps', 'bits', 64_000],
    ['9bps', 'bits', 9],
    ['5000pps', 'datagrams', 5000],
    ['0.5pps', 'datagrams', 0.5],
    ['10 Mbps', 'bits', 1e7],
  ];
  for (const [value, unit, perSecond] of read)
    t.strictSame(parseRate('--rate', value), { unit, perSecond }, value);
  for (const value of [
    '',
    '100',
    '0pps',
    '0bps',
    '0.0Mbps',
    '-5pps',
    '100mbps',
    '100MBps',
    '100 Mb/s',
    'pps',
    '1kpps',
  ])
    t.throws(() => parseRate('--rate', value), { ...usage, message: /^--rate: / }, value);
  t.end();
});

t.test('whole numbers and frames', (t) => {
  t.equal(parseInteger('--n', '7', 0, 7), 7);
  t.equal(parseInteger('--n', 0, 0, 7), 0);
  for (const value of [
    '8',
    '-1',
    '1.0',
    '',
    ' 1',
    '1e0',
    '0x1',
    'one',
    -1,
    0.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
  ])
    t.throws(() => parseInteger('--n', value, 0, 7), { ...usage, message: /from 0 to 7/ }, String(value));
  t.strictSame(
    ['lines', 'line', 'raw'].map((name) => KEYS.frame.read(name, '--frame', {})),
    ['lines', 'line', 'raw'],
  );
  for (const name of ['', 'LINES', 'json', 'toString'])
    t.throws(() => KEYS.frame.read(name, '--frame', {}), { ...usage, message: /use lines, line, raw/ }, name);
  t.end();
});

t.test('keys given as options', (t) => {
  t.strictSame(readKeys({}), {});
  t.strictSame(readKeys({ ttl: '4', loop: false, interface: 'lo', source: ['192.0.2.1', '192.0.2.2'] }), {
    interface: 'lo',
    source: ['192.0.2.1', '192.0.2.2'],
    ttl: 4,
    loop: false,
  });
  t.strictSame(readKeys({ ttl: 4, loop: 'yes', source: '192.0.2.1', tls: true, rcvbuf: 1024 }), {
    source: ['192.0.2.1'],
    ttl: 4,
    loop: true,
    rcvbuf: 1024,
    tls: true,
  });
  t.throws(() => readKeys({ ttl: '300' }), { ...usage, message: /^--ttl: 300: / });
  t.throws(() => readKeys({ interface: '' }), { ...usage, message: /^--interface: / });
  t.end();
});

t.test('an option given once, often or never', (t) => {
  const flag = addresses({ accept: DATAGRAMS, roles: ['sink'], help: '' });
  const ports = (given?: string | string[]) =>
    flag.read(given, '--addr', {}).map(({ address }) => address.port);
  t.strictSame([ports(), ports('h:1'), ports(['h:1', 'h:2'])], [[], [1], [1, 2]]);
  t.throws(() => ports(['h:1', 'h']), usage);
  t.end();
});

t.test('the networks that may connect', (t) => {
  t.equal(readAllow(undefined), undefined);
  t.equal(readAllow([]), undefined);
  const list = readAllow(['192.0.2.0/24', '198.51.100.7', 'FD00::/8', '2001:db8::1', '::ffff:203.0.113.9'])!;
  t.ok(list instanceof BlockList);
  const four = (ip: string) => list.check(ip, 'ipv4');
  const six = (ip: string) => list.check(ip, 'ipv6');
  t.strictSame(['192.0.2.0', '192.0.2.255', '198.51.100.7', '203.0.113.9'].map(four), [
    true,
    true,
    true,
    true,
  ]);
  t.strictSame(['192.0.1.255', '192.0.3.0', '198.51.100.8', '127.0.0.1'].map(four), [
    false,
    false,
    false,
    false,
  ]);
  t.strictSame(['fd00::1', 'fdff:ffff::9', '2001:db8::1'].map(six), [true, true, true]);
  t.strictSame(['fe80::1', '2001:db8::2', '::1'].map(six), [false, false, false]);
  t.ok(readAllow(['0.0.0.0/0'])!.check('198.51.100.7', 'ipv4'), 'everyone');
  t.ok(readAllow(['::/0'])!.check('2001:db8::7', 'ipv6'), 'everyone');
  for (const cidr of [
    '',
    '/',
    '/8',
    '192.0.2.0/',
    '192.0.2.0/33',
    '192.0.2.0/-1',
    '192.0.2.0/24/1',
    '192.0.2/24',
    '::/129',
    'fe80::1%lo/64',
    'fe80::1%lo',
    'localhost',
    '192.0.2.0/255.255.255.0',
    '192.0.2.0/1e1',
  ])
    t.throws(
      () => readAllow(['127.0.0.1', cidr]),
      { ...usage, message: `--allow: ${cidr && `${cidr}: `}not a network like 192.168.0.0/16 or fd00::/8` },
      cidr,
    );
  t.end();
});

t.test('figures for a person', (t) => {
  t.strictSame([0, 999, 1000, 1_500_000, 2e9, 3e12, 4e15].map(showBytes), [
    '0 B',
    '999 B',
    '1.0 kB',
    '1.5 MB',
    '2.0 GB',
    '3.0 TB',
    '4000.0 TB',
  ]);
  t.strictSame([0, 1023, 1024, 425_984, 8 * 2 ** 20, 2 ** 30].map(showMemory), [
    '0 B',
    '1023 B',
    '1 KiB',
    '416 KiB',
    '8 MiB',
    '1 GiB',
  ]);
  t.strictSame([0, 500, 1500, 30_000, 300_000].map(showDuration), ['0 ms', '500 ms', '1.5 s', '30 s', '5 m']);
  t.strictSame(
    [0, 1, 999, 1234, 1234567].map((count) => showCount(count, 'line')),
    ['0 lines', '1 line', '999 lines', '1,234 lines', '1,234,567 lines'],
  );
  t.end();
});
