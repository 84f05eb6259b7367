import { MproxyError, showAddress } from 'mproxy-base';
import {
  type AddressRule,
  canonicalIp,
  isGroup,
  isLinkLocal,
  isWildcard,
  parseAddress,
  parseBind,
} from 'mproxy-net/address';
import { KEYS, type KeyName, type Keys } from 'mproxy-net/keys';
import t, { type Test } from 'tap';

const ALL = Object.keys(KEYS) as KeyName[];
const listens: AddressRule = { flag: '--listen-addr', schemes: ['tcp', 'tls'], keys: ALL, listens: true };
const sends: AddressRule = { flag: '--server-addr', keys: ['interface', 'ttl', 'loop'], listens: false };

t.test('every form of an address', (t) => {
  const forms: [text: string, host: string, port: number, zone?: string][] = [
    ['127.0.0.1:9920', '127.0.0.1', 9920],
    ['0.0.0.0:0', '0.0.0.0', 0],
    ['localhost:1', 'localhost', 1],
    ['Some-Host.example.ORG.:65535', 'some-host.example.org.', 65_535],
    ['under_score:00080', 'under_score', 80],
    ['[::1]:9920', '::1', 9920],
    ['[::]:9920', '::', 9920],
    ['[0:0:0:0:0:0:0:1]:9', '::1', 9],
    ['[FD00:0DB8::00A:0]:9', 'fd00:db8::a:0', 9],
    ['[::ffff:192.0.2.1]:9', '192.0.2.1', 9],
    ['[::FFFF:c000:0201]:9', '192.0.2.1', 9],
    ['[fe80::1%eth0]:9', 'fe80::1', 9, 'eth0'],
    ['[fe80::2%3]:9918', 'fe80::2', 9918, '3'],
    ['tls://example.org:443', 'example.org', 443],
    ['tls://[::1]:443', '::1', 443],
  ];
  for (const [text, host, port, zone] of forms) {
    const address = parseAddress(text, listens);
    t.strictSame(
      { ...address },
      { text, host, port, keys: address.keys, own: address.own, ...(zone && { zone }) },
      text,
    );
    t.strictSame(address.keys, text.startsWith('tls:') ? { tls: true } : {}, `${text}: keys`);
  }
  t.end();
});

t.test('the keys of an address', (t) => {
  const keys = (text: string) => parseAddress(`example.org:1,${text}`, listens).keys;
  const read: [string, Keys][] = [
    ['interface=lo', { interface: 'lo' }],
    ['source=192.0.2.1,source=192.0.2.2', { source: ['192.0.2.1', '192.0.2.2'] }],
    ['ttl=0', { ttl: 0 }],
    ['ttl=255', { ttl: 255 }],
    ['loop', { loop: true }],
    ['loop=yes', { loop: true }],
    ['loop=no', { loop: false }],
    ['bind=127.0.0.1:5', { bind: '127.0.0.1:5' }],
    ['rcvbuf=64KiB,sndbuf=1MB', { rcvbuf: 65_536, sndbuf: 1_000_000 }],
    ['frame=raw', { frame: 'raw' }],
    ['tls', { tls: true }],
    ['ttl=2,loop=no,interface=lo', { ttl: 2, loop: false, interface: 'lo' }],
  ];
  for (const [text, expected] of read) t.strictSame(keys(text), expected, text);
  t.end();
});

t.test('flags set defaults, and the keys of the address win', (t) => {
  const defaults: Keys = { ttl: 9, loop: false, interface: 'eth7', source: ['192.0.2.9'], rcvbuf: 1 };
  const address = parseAddress('example.org:1,ttl=2,loop', sends, defaults);
  t.strictSame(address.keys, { ttl: 2, loop: true, interface: 'eth7' }, 'without those that it cannot use');
  t.strictSame([...address.own], ['ttl', 'loop']);
  t.strictSame(parseAddress('h:1,source=192.0.2.1', listens, defaults).keys.source, ['192.0.2.1']);
  t.strictSame(
    defaults,
    { ttl: 9, loop: false, interface: 'eth7', source: ['192.0.2.9'], rcvbuf: 1 },
    'untouched',
  );
  t.end();
});

t.test('every kind of wrong address is a usage error that names the flag, the value and why', (t) => {
  const wrong: [text: string, why: RegExp][] = [
    ['', /no port/],
    ['127.0.0.1', /no port/],
    ['29936', /a port without a host; write HOST:PORT/],
    ['127.0.0.1:', /no port/],
    [':9920', /no host/],
    ['[]:9920', /not an IPv6 address/],
    ['[%lo]:9920', /not an IPv6 address/],
    ['::1:9920', /stands in brackets/],
    ['fd00::1', /stands in brackets/],
    ['[fd00::1]', /not an address/],
    ['[127.0.0.1]:9920', /not an IPv6 address/],
    ['[fd00::12345]:9920', /not an IPv6 address/],
    ['[fe80::1%]:9920', /no zone/],
    ['[::1:9920', /not an address/],
    ['::1]:9920', /not an address/],
    ['256.0.0.1:1', /not an IPv4 address/],
    ['1.2.3:1', /not an IPv4 address/],
    ['127.0.0.01:1', /not an IPv4 address/],
    ['a b:1', /not a host name/],
    ['a..b:1', /not a host name/],
    ['.a:1', /not a host name/],
    ['a/b:1', /not a host name/],
    ['h\n:1', /not a host name/],
    [`${'a'.repeat(254)}:1`, /not a host name/],
    ['[fe80::1234]:9920', /fe80::1234 is link-local.*write \[fe80::1234%zone\]:9920/],
    ['[febf::1]:9920,ttl=3', /%zone/],
    ['[::1%lo]:9920', /::1 is not link-local/],
    ['[2001:db8::1%eth0]:9920', /not link-local/],
    ['[::ffff:192.0.2.1%eth0]:9920', /not link-local/],
    ['h:65536', /port 65536/],
    ['h:-1', /port -1/],
    ['h:1.5', /port 1\.5/],
    ['h:0x50', /port 0x50/],
    ['h: 80', /port/],
    ['h:http', /port http/],
    ['h:100000000000000000000', /port/],
    ['h:0', /port 0 is no destination/],
    ['udp://h:1', /udp:\/\//],
    ['tls://h:1', /tls:\/\//],
    ['h:1,', /unknown key ""/],
    ['h:1,colour=red', /unknown key "colour".*known here: interface, ttl, loop/],
    ['h:1,__proto__=1', /unknown key/],
    ['h:1,constructor', /unknown key/],
    ['h:1,rcvbuf=1', /unknown key "rcvbuf"/],
    ['h:1,interface', /needs a value/],
    ['h:1,interface=', /needs a value/],
    ['h:1,ttl=256', /from 0 to 255/],
    ['h:1,ttl=-1', /from 0 to 255/],
    ['h:1,ttl=1.5', /from 0 to 255/],
    ['h:1,ttl=1,ttl=2', /given twice/],
    ['h:1,loop=maybe', /neither yes nor no/],
    ['h:1,loop=', /needs a value/],
  ];
  for (const [text, why] of wrong) usageError(t, () => parseAddress(text, sends), '--server-addr', text, why);
  const wrongHere: [text: string, why: RegExp][] = [
    ['h:1,rcvbuf=0', /2 GiB/],
    ['tls:127.0.0.1/ais', /no \/\/ after tls:; write tls:\/\/\.\.\./],
    ['TCP:h:1', /no \/\/ after TCP:; write tcp:/],
    ['tls:x', /no \/\/ after tls:/],
    ['h:1,rcvbuf=2GiB', /2 GiB/],
    ['h:1,sndbuf=many', /a size like/],
    ['h:1,frame=json', /no such frame.*lines, line, raw/],
    ['h:1,tls=1', /neither yes nor no/],
    ['tls://h:1,tls=no', /contradict/],
  ];
  for (const [text, why] of wrongHere)
    usageError(t, () => parseAddress(text, listens), '--listen-addr', text, why);
  usageError(t, () => parseAddress('h:1,bind=fe80::1', listens), 'bind', 'fe80::1', /fe80::1%zone/);
  usageError(t, () => parseAddress('h:1,bind=h:99999', listens), 'bind', 'h:99999', /port 99999/);
  usageError(t, () => parseAddress('h:1,a', { ...sends, keys: [] }), '--server-addr', 'h:1,a', /takes none/);
  t.end();
});

t.test('the address to send from', (t) => {
  const binds: [string, ReturnType<typeof parseBind>][] = [
    ['192.0.2.1', { host: '192.0.2.1', port: 0 }],
    ['192.0.2.1:5', { host: '192.0.2.1', port: 5 }],
    ['::1', { host: '::1', port: 0 }],
    ['[::1]', { host: '::1', port: 0 }],
    ['[::1]:5', { host: '::1', port: 5 }],
    ['fe80::1%lo', { host: 'fe80::1', zone: 'lo', port: 0 }],
    ['[fe80::1%lo]:0', { host: 'fe80::1', zone: 'lo', port: 0 }],
    ['host', { host: 'host', port: 0 }],
    ['host:5', { host: 'host', port: 5 }],
  ];
  for (const [text, expected] of binds) t.strictSame(parseBind(text), expected, text);
  for (const text of ['', ':5', '[::1', 'tls://h:1', '1.2.3', '::1::', 'h:99999'])
    usageError(t, () => parseBind(text), 'bind', text, /./);
  t.end();
});

t.test('what an IP address is', (t) => {
  for (const none of ['', 'localhost', '1.2.3', '::1%lo', 'fe80::1%eth0', '[::1]', 'g::1'])
    t.equal(canonicalIp(none), undefined, none);
  const groups = ['224.0.0.0', '239.255.255.255', 'ff02::1', 'ff3e::8000:1', 'FF0E::1']; // by no interface: read alone
  for (const group of groups) t.ok(isGroup(group), group);
  for (const other of ['223.255.255.255', '240.0.0.1', '::1', 'ff::1', 'fe80::1', 'localhost'])
    t.notOk(isGroup(other), other);
  for (const local of ['fe80::1', 'febf::1', 'ff12::1', 'ff31::1']) t.ok(isLinkLocal(local), local);
  for (const other of ['fec0::1', 'ff05::1', 'fd00::1', '169.254.0.1', 'fe80'])
    t.notOk(isLinkLocal(other), other);
  t.strictSame(['0.0.0.0', '::', '127.0.0.1', '::1'].map(isWildcard), [true, true, false, false]);
  t.equal(showAddress({ address: '::1', port: 5 }), '[::1]:5');
  t.equal(showAddress({ address: '127.0.0.1', port: 5 }), '127.0.0.1:5');
  t.end();
});

function usageError(t: Test, parse: () => unknown, flag: string, text: string, why: RegExp): void {
  try {
    parse();
    t.fail(`no error: ${text}`);
  } catch (error) {
    const { code, message, exitStatus } = error as MproxyError;
    const named = error instanceof MproxyError && message.startsWith(`${flag}: ${text && `${text}: `}`);
    t.ok(named && code === 'MPROXY_USAGE' && exitStatus === 2 && why.test(message), message);
  }
}
