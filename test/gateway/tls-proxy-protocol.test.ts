import { connect as connectPlain } from 'node:net';
import { connect } from 'node:tls';
import { PROXY_HEADER_MOST, proxyHeader } from 'mproxy-service/proxy-header';
import type { Test } from 'tap';
import t from 'tap';
import { Authority } from '../support/certificates.js';
import { until } from '../support/wait.js';
import { gateway, origin, type RunningGateway } from './running.js';

const authority = await Authority.make(t);
const site = await authority.sign({ dns: ['a.test'] });
const SOURCE = { address: '192.0.2.7', port: 1234 };
const DESTINATION = { address: '198.51.100.1', port: 443 };

function start(t: Test, upstream: string, trusted: string[]): Promise<RunningGateway> {
  return gateway(t, {
    config: {
      listen: [{ address: 'tls://127.0.0.1:0', proxy_protocol: true }],
      trusted_proxies: trusted,
      certificates: [{ cert_file: site.certFile, key_file: site.keyFile }],
      timeouts: { tls_handshake: '1s' },
      routes: [{ path: '/', upstream }],
    },
    listenAddr: [],
  });
}

/** What a client gets that sends these bytes before its handshake; '': the connection is closed. */
async function ask(t: Test, port: number, pieces: Buffer[]): Promise<string> {
  const raw = connectPlain({ port, host: '127.0.0.1', noDelay: true });
  t.teardown(() => raw.destroy());
  let text = '';
  let closed = false;
  raw.on('error', () => undefined);
  raw.on('close', () => {
    closed = true;
  });
  for (const piece of pieces) {
    raw.write(piece);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  const socket = connect({ socket: raw, servername: 'a.test', ca: authority.pem });
  socket.on('data', (bytes) => {
    text += bytes;
  });
  socket.on('error', () => undefined);
  socket.write('GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n');
  await until('the end', () => closed);
  return text;
}

const shown = (t: Test) =>
  origin(t, ({ headers }, response) =>
    response.end(`${headers['x-forwarded-for']} ${headers['x-forwarded-proto']}`),
  );

t.test('PROXY headers in front of TLS', async (t) => {
  const { port } = await start(t, await shown(t), ['127.0.0.1', '10.0.0.0/8']);
  for (const version of [1, 2] as const) {
    const header = proxyHeader(version, SOURCE, DESTINATION);
    t.match(await ask(t, port, [Buffer.from(header)]), /192\.0\.2\.7 https$/, `version ${version}`);
    const bytes = [...header].map((byte) => Buffer.from([byte]));
    t.match(await ask(t, port, bytes), /192\.0\.2\.7 https$/, `version ${version}, byte by byte`);
  }
  const local = Buffer.concat([
    proxyHeader(2, SOURCE, DESTINATION).subarray(0, 12),
    Buffer.from('20000000', 'hex'),
  ]);
  t.match(await ask(t, port, [local]), /127\.0\.0\.1 https$/, 'LOCAL: the address of the socket');
});

t.test('a missing, malformed, too long or untrusted PROXY header: closed', async (t) => {
  const running = await start(t, await shown(t), ['127.0.0.1']);
  const { port } = running;
  t.equal(await ask(t, port, []), '', 'there is none');
  t.equal(await ask(t, port, [Buffer.from('PROXY TCP4 192.0.2.7\r\n')]), '', 'malformed');
  t.equal(await ask(t, port, [Buffer.from(`PROXY ${'x'.repeat(PROXY_HEADER_MOST)}`)]), '', 'too long');
  await until('they are counted', () => running.metric('tls_handshakes', { result: 'failed' }) === 3);
  const other = await start(t, await shown(t), ['10.0.0.0/8']);
  t.equal(await ask(t, other.port, [Buffer.from(proxyHeader(1, SOURCE, DESTINATION))]), '', 'not trusted');
});
