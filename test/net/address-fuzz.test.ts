import { MproxyError, parseDuration, parseInteger, parseRate, parseSize, showAddress } from 'mproxy-base';
import { canonicalIp, isGroup, isLinkLocal, parseAddress, parseBind } from 'mproxy-net/address';
import { KEYS, type KeyName } from 'mproxy-net/keys';
import t from 'tap';
import { readAllow, readKeys } from '../support/flags.js';
import { Random } from '../support/random.js';

const ROUNDS = 30_000;
const keys = Object.keys(KEYS) as KeyName[];
const listens = { flag: '--listen-addr', schemes: ['tls'], keys, listens: true };
const sends = { flag: '--server-addr', keys: [], listens: false };

const parsers: Record<string, (text: string) => unknown> = {
  'address to listen on': (text) => parseAddress(text, listens),
  'address to send to': (text) => parseAddress(text, sends, { ttl: 1 }),
  bind: parseBind,
  allow: (text) => readAllow([text]),
  duration: (text) => parseDuration('--x', text),
  size: (text) => parseSize('--x', text),
  rate: (text) => parseRate('--x', text),
  integer: (text) => parseInteger('--x', text, 0, 9),
  frame: (text) => KEYS.frame.read(text, '--x', {}),
  ...Object.fromEntries(keys.map((key) => [`key ${key}`, (text: string) => readKeys({ [key]: text })])),
  'IP address': (text) => [canonicalIp(text), isGroup(text), isLinkLocal(text)],
};

/** What addresses, keys and figures are made of, and what they must not be made of. */
const PIECES = [
  ...[
    '127.0.0.1',
    '0.0.0.0',
    '255.255.255.255',
    '::1',
    '::',
    '[::1]',
    '[fe80::1%lo]',
    'fe80::1%eth0',
    '::ffff:1.2.3.4',
  ],
  ...[
    'localhost',
    'a.example',
    'tls://',
    'udp://',
    'x',
    'ffff',
    '0',
    '1',
    '9',
    '65535',
    '65536',
    '007',
    '1e9',
    '0x1',
  ],
  ...[
    '[',
    ']',
    ':',
    '%',
    ',',
    '=',
    '/',
    '.',
    '-',
    '_',
    '+',
    ' ',
    '\n',
    '\0',
    '\\',
    '"',
    '?',
    '#',
    '@',
    '*',
    '$&',
  ],
  ...[
    'ms',
    's',
    'm',
    'h',
    'kB',
    'KiB',
    'MiB',
    'bps',
    'Mbps',
    'pps',
    'yes',
    'no',
    'lines',
    'raw',
    'NaN',
    'Infinity',
  ],
  ...[
    '__proto__',
    'constructor',
    'toString',
    'é',
    '日本',
    '😀',
    '\ud800',
    '9'.repeat(400),
    'a'.repeat(300),
    ':'.repeat(50),
  ],
  ...keys,
];

t.test('any text is read, or refused as a usage error, by every parser', (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  const read: Record<string, number> = {};
  for (let round = 0; round < ROUNDS; round++) {
    const text = makeText(random);
    for (const [name, parse] of Object.entries(parsers)) {
      try {
        parse(text);
        read[name] = (read[name] ?? 0) + 1;
      } catch (error) {
        if (error instanceof MproxyError && error.code === 'MPROXY_USAGE' && error.message !== '') continue;
        t.fail(`${name}: ${JSON.stringify(text)}: ${error}, SEED=${random.seed}`);
        return t.end();
      }
    }
  }
  for (const name of Object.keys(parsers))
    t.ok(read[name]! > 0, `${name}: ${read[name]} of ${ROUNDS} were read`);
  t.end();
});

t.test('an address that was read, shown and read again is the same', (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  for (let round = 0; round < ROUNDS; round++) {
    const ip = random.next() < 0.5 ? randomIpv4(random) : randomIpv6(random);
    // A link-local address is none without its zone.
    const zone = isLinkLocal(canonicalIp(ip)!) && !isGroup(canonicalIp(ip)!) ? '%eth0' : '';
    const endpoint = { address: ip + zone, port: random.integer(0, 65_535) };
    const once = parseAddress(showAddress(endpoint), listens);
    const again = parseAddress(showAddress({ address: once.host + zone, port: once.port }), listens);
    if (once.host === again.host && once.port === endpoint.port && canonicalIp(ip) === once.host) continue;
    t.fail(`${ip} became ${once.host}, then ${again.host}, SEED=${random.seed}`);
    return t.end();
  }
  t.pass(`${ROUNDS} addresses`);
  t.end();
});

function makeText(random: Random): string {
  // Put together by chance, a rate is so rare that a run may have none.
  if (random.next() < 0.01) return random.pick(['100Mbps', '2.5Gbps', '5000pps', '64kbps']);
  if (random.next() < 0.1) return random.bytes(random.integer(0, 20)).toString('latin1');
  const pieces = Array.from({ length: random.integer(0, 6) }, () => random.pick(PIECES));
  const text = pieces.join(random.next() < 0.2 ? random.pick([':', ',', '=', '.', '/']) : '');
  return random.next() < 0.3 ? `${random.pick(['127.0.0.1:1,', '[::1]:0,', 'h:1,ttl='])}${text}` : text;
}

function randomIpv4(random: Random): string {
  return [...random.bytes(4)].join('.');
}

/** Any of the forms that RFC 4291, 2.2 allows: zeros compressed or not, letters of both cases, IPv4 at the end. */
function randomIpv6(random: Random): string {
  const tail = random.next() < 0.2 ? randomIpv4(random) : undefined;
  const words = Array.from({ length: tail ? 6 : 8 }, () =>
    random.next() < 0.4 ? 0 : random.integer(0, 0xffff),
  );
  if (random.next() < 0.1) words.splice(0, 6, 0, 0, 0, 0, 0, 0xffff);
  const texts = words.map((word) =>
    random.next() < 0.3 ? word.toString(16).padStart(4, '0') : word.toString(16),
  );
  if (tail) texts.push(tail);
  const at = words.indexOf(0);
  const compressed = at >= 0 && random.next() < 0.5;
  const text = compressed
    ? `${texts.slice(0, at).join(':')}::${texts.slice(at + 1).join(':')}`
    : texts.join(':');
  return random.next() < 0.5 ? text.toUpperCase() : text;
}
