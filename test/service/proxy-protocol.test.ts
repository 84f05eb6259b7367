import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { SocketAddress } from 'mproxy-base';
import {
  type Context,
  HttpResponse,
  httpServer,
  parseProxyHeader,
  proxyHeader,
  proxyProtocol,
  service,
  tcpServer,
  unixServer,
} from 'mproxy-service';
import t from 'tap';
import { ENGINES } from '../net/engines.js';
import { openSocket, tcpClient } from '../support/net.js';
import { until } from '../support/wait.js';

const SIGNATURE = '\r\n\r\n\0\r\nQUIT\n';
const A = { address: '192.0.2.1', port: 1000 };
const B = { address: '198.51.100.2', port: 443 };
const A6 = { address: '2001:db8::1', port: 1000 };
const B6 = { address: '2001:db8::2', port: 443 };

const latin1 = (text: string) => Buffer.from(text, 'latin1');
/** A header of version 2. */
function v2(command: number, family: number, rest: Buffer, length = rest.length): Buffer {
  const head = Buffer.concat([latin1(SIGNATURE), Buffer.from([command, family, length >> 8, length & 0xff])]);
  return Buffer.concat([head, rest]);
}

const TCP4 = Buffer.from([192, 0, 2, 1, 198, 51, 100, 2, 1000 >> 8, 1000 & 0xff, 443 >> 8, 443 & 0xff]);
const TCP6 = Buffer.concat([
  Buffer.from('20010db8000000000000000000000001', 'hex'),
  Buffer.from('20010db8000000000000000000000002', 'hex'),
  TCP4.subarray(8),
]);
const MAPPED = Buffer.concat([
  Buffer.from('00000000000000000000ffffc0000201', 'hex'),
  Buffer.from('00000000000000000000ffffc6336402', 'hex'),
  TCP4.subarray(8),
]);

type Ends = [source: SocketAddress | undefined, destination: SocketAddress | undefined];
const NONE: Ends = [undefined, undefined];

const VALID: [name: string, header: Buffer, ends: Ends][] = [
  ['v1 TCP4', latin1('PROXY TCP4 192.0.2.1 198.51.100.2 1000 443\r\n'), [A, B]],
  ['v1 TCP6', latin1('PROXY TCP6 2001:db8::1 2001:DB8:0::2 1000 443\r\n'), [A6, B6]],
  [
    'v1 TCP6 of IPv4-mapped addresses',
    latin1('PROXY TCP6 ::ffff:192.0.2.1 ::ffff:c633:6402 1000 443\r\n'),
    [A, B],
  ],
  ['v1 UNKNOWN', latin1('PROXY UNKNOWN\r\n'), NONE],
  ['v1 UNKNOWN with something', latin1('PROXY UNKNOWN ffff::1 anything 1\r\n'), NONE],
  ['v1 of the greatest length', latin1(`PROXY UNKNOWN ${'x'.repeat(91)}\r\n`), NONE],
  ['v2 TCP4', v2(0x21, 0x11, TCP4), [A, B]],
  ['v2 TCP6', v2(0x21, 0x21, TCP6), [A6, B6]],
  ['v2 TCP6 of IPv4-mapped addresses', v2(0x21, 0x21, MAPPED), [A, B]],
  ['v2 with TLVs', v2(0x21, 0x11, Buffer.concat([TCP4, Buffer.alloc(300)])), [A, B]],
  ['v2 LOCAL', v2(0x20, 0x00, Buffer.alloc(0)), NONE],
  ['v2 LOCAL with addresses, which do not count', v2(0x20, 0x11, TCP4), NONE],
  ['v2 of an unspecified family', v2(0x21, 0x00, Buffer.alloc(5)), NONE],
  ['v2 of a Unix socket', v2(0x21, 0x31, Buffer.alloc(216)), NONE],
];

const INVALID: [name: string, header: Buffer][] = [
  ['a request', latin1('GET / HTTP/1.1\r\nHost: h\r\n\r\n')],
  ['v1 in lower case', latin1('proxy TCP4 192.0.2.1 198.51.100.2 1000 443\r\n')],
  ['v1 with another family', latin1('PROXY UDP4 192.0.2.1 198.51.100.2 1000 443\r\n')],
  ['v1 with an address of the other family', latin1('PROXY TCP4 2001:db8::1 198.51.100.2 1000 443\r\n')],
  ['v1 with a zone', latin1('PROXY TCP6 fe80::1%lo fe80::2 1000 443\r\n')],
  ['v1 with two spaces', latin1('PROXY TCP4  192.0.2.1 198.51.100.2 1000 443\r\n')],
  ['v1 with one port', latin1('PROXY TCP4 192.0.2.1 198.51.100.2 1000\r\n')],
  ['v1 with one word too many', latin1('PROXY TCP4 192.0.2.1 198.51.100.2 1000 443 1\r\n')],
  ['v1 with a port too large', latin1('PROXY TCP4 192.0.2.1 198.51.100.2 65536 443\r\n')],
  ['v1 with a port of too many digits', latin1('PROXY TCP4 192.0.2.1 198.51.100.2 01000 443\r\n')],
  ['v1 with a negative port', latin1('PROXY TCP4 192.0.2.1 198.51.100.2 -1 443\r\n')],
  ['v1 without a family', latin1('PROXY \r\n')],
  ['v1 without CR', latin1(`PROXY TCP4 192.0.2.1 198.51.100.2 1000 443\n${'x'.repeat(107)}`)],
  ['v1 too long', latin1(`PROXY UNKNOWN ${'x'.repeat(92)}\r\n`)],
  ['v2 of another version', v2(0x11, 0x11, TCP4)],
  ['v2 with another command', v2(0x22, 0x11, TCP4)],
  ['v2 of datagrams', v2(0x21, 0x12, TCP4)],
  ['v2 with half of its addresses', v2(0x21, 0x11, TCP4.subarray(0, 11))],
  ['v2 TCP6 with addresses of TCP4', v2(0x21, 0x21, TCP4)],
  ['v2 too long', v2(0x21, 0x11, Buffer.concat([TCP4, Buffer.alloc(4085)]))],
  ['v2 with another signature', latin1('\r\n\r\n\0\r\nQUIT\r\x21\x11\0\0')],
];

t.test('headers, whole and cut at every position', (t) => {
  for (const [name, header, [source, destination]] of VALID) {
    const expected = { length: header.length, source, destination };
    t.strictSame(parseProxyHeader(header), expected, name);
    t.strictSame(parseProxyHeader(Buffer.concat([header, latin1('GET ')])), expected, `${name}, and more`);
    for (let at = 0; at < header.length; at++)
      if (parseProxyHeader(header.subarray(0, at)) !== 'incomplete') t.fail(`${name}, cut at ${at}`);
  }
  for (const [name, header] of INVALID) t.equal(parseProxyHeader(header), 'invalid', name);
  t.end();
});

t.test('headers for upstreams', (t) => {
  for (const version of [1, 2] as const) {
    for (const [from, to, ends] of [
      [A, B, [A, B]],
      [A6, B6, [A6, B6]],
      [{ ...A, address: '::ffff:192.0.2.1' }, B, [A, B]],
      [{ address: 'fe80::1%eth0', port: 1 }, B6, [{ address: 'fe80::1', port: 1 }, B6]],
      [
        { address: '::', port: 0 },
        { address: '::1', port: 65_535 },
        [
          { address: '::', port: 0 },
          { address: '::1', port: 65_535 },
        ],
      ],
      [A, B6, NONE],
      [undefined, B, NONE],
    ] as [SocketAddress | undefined, SocketAddress | undefined, Ends][]) {
      const header = proxyHeader(version, from, to);
      const [source, destination] = ends;
      t.strictSame(parseProxyHeader(header), { length: header.length, source, destination });
    }
  }
  t.equal(String(proxyHeader(1, A, B)), 'PROXY TCP4 192.0.2.1 198.51.100.2 1000 443\r\n');
  t.equal(proxyHeader(2, A, B).compare(v2(0x21, 0x11, TCP4)), 0);
  t.end();
});

const GET = 'GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n';

for (const { name, streams } of ENGINES) {
  const trusting = (trusts: (peer: SocketAddress | undefined) => boolean, timeout = 10_000) =>
    proxyProtocol({ trusts, timeout })(
      httpServer(
        service((_, { peer, local }) => HttpResponse.text(200, JSON.stringify([peer?.address, local?.port]))),
      ),
    );

  t.test(`${name}: a service gets the addresses of the header`, async (t) => {
    const server = await tcpServer('127.0.0.1:0', { streams }).serve(trusting(() => true));
    t.teardown(() => server.cut());
    const { port } = server.addresses[0]!;
    for (const [what, header, [source, destination]] of VALID) {
      const client = await tcpClient(t, port);
      client.socket.write(Buffer.concat([header, latin1(GET)]));
      await until('its end', () => client.ended);
      const ends = [source?.address ?? '127.0.0.1', destination?.port ?? port];
      t.match(String(client.bytes), JSON.stringify(ends), what);
    }
    // Byte by byte, with the request right behind.
    const slow = await tcpClient(t, port);
    slow.socket.setNoDelay(true);
    for (const byte of v2(0x21, 0x11, TCP4)) {
      slow.socket.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    slow.socket.write(GET);
    await until('its end', () => slow.ended);
    t.match(String(slow.bytes), JSON.stringify(['192.0.2.1', 443]));
  });

  t.test(`${name}: malformed, missing, late and untrusted ones are closed without an answer`, async (t) => {
    const asked: unknown[] = [];
    const trusts = (peer: SocketAddress | undefined) => asked.push(peer?.address) > 0;
    const server = await tcpServer('127.0.0.1:0', { streams }).serve(trusting(trusts, 200));
    const wary = await tcpServer('127.0.0.1:0', { streams }).serve(trusting(() => false));
    t.teardown(() => server.cut() + wary.cut());
    const { port } = server.addresses[0]!;
    const closes = async (what: string, to: number, bytes: Buffer) => {
      let received = 0;
      const socket = connect(to, '127.0.0.1');
      socket.on('error', () => undefined).on('data', ({ length }) => (received += length));
      socket.write(bytes);
      await until(`it is closed: ${what}`, () => socket.closed);
      t.equal(received, 0, what);
    };
    for (const [what, header] of INVALID) await closes(what, port, Buffer.concat([header, latin1(GET)]));
    await closes('late', port, latin1('PROXY TCP4'));
    await closes('untrusted', wary.addresses[0]!.port, Buffer.concat([VALID[0]![1], latin1(GET)]));
    t.equal(asked[0], '127.0.0.1');
    const ended = await openSocket(t, port);
    const closed = once(ended, 'close');
    ended.resume().end('PROXY');
    await closed;
    const left = await Promise.race([server.drain(5000), wary.drain(5000)]);
    t.equal(left, 0, 'nothing is left');
  });

  t.test(`${name}: Unix sockets`, { skip: process.platform === 'win32' }, async (t) => {
    const path = join(t.testdir(), name);
    const contexts: Context[] = [];
    const server = await unixServer(path, { streams }).serve(
      proxyProtocol({ trusts: (peer) => peer === undefined })({
        call(connection, context) {
          contexts.push(context);
          connection.end();
        },
      }),
    );
    t.teardown(() => server.cut());
    const socket = connect({ path });
    socket.write(proxyHeader(1, A, B));
    await once(socket.resume(), 'close');
    t.match(contexts, [{ peer: A, local: B, listener: `unix:${path}` }]);
  });
}
