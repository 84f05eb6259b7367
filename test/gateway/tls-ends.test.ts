import type { Connection, Streams, TlsClient } from 'mproxy-net';
import { chooseEngine } from 'mproxy-net/engine';
import type { Test } from 'tap';
import t from 'tap';
import { Authority } from '../support/certificates.js';
import { until } from '../support/wait.js';
import { gateway, origin } from './running.js';

const authority = await Authority.make(t);
const site = await authority.sign({ dns: ['a.test'] });
/** That of Node does not tell whether close_notify came. */
const { streams } = chooseEngine('linux').engine;
const client: TlsClient = { credentials: { ca: authority.pem }, serverName: 'a.test', insecure: false };

interface Got {
  text: string;
  /** `close_notify`, or why the connection failed. */
  end: string;
}

/** Sends bytes, and reads until the end of the connection. */
async function exchange(t: Test, streams: Streams, port: number, request: string): Promise<Got> {
  const connection: Connection = await streams.connect({ to: { address: '127.0.0.1', port }, tls: client });
  t.teardown(() => connection.abort());
  const got: Got = { text: '', end: '' };
  connection.start({
    onData(bytes) {
      got.text += bytes.toString('latin1');
    },
    onEnd() {
      got.end = 'close_notify';
      connection.close();
    },
    onClose(error) {
      if (got.end === '') got.end = error?.message ?? 'closed here';
    },
  });
  connection.write([Buffer.from(request)]);
  await until('the end', () => got.end !== '');
  return got;
}

const get = (path: string, version = '1.1') => `GET ${path} HTTP/${version}\r\nHost: a.test\r\n\r\n`;

t.test('a whole response ends with close_notify, one that was cut does not', async (t) => {
  const upstream = await origin(t, ({ url }, response) => {
    response.flushHeaders();
    response.write('a part');
    if (url !== '/whole') setTimeout(() => response.destroy(), 50);
    else response.end();
  });
  const running = await gateway(t, {
    ...{ listenAddr: 'tls://127.0.0.1:0', tlsCert: site.certFile, tlsKey: site.keyFile },
    config: { routes: [{ path: '/', upstream }] },
  });
  const ask = (request: string) => exchange(t, streams, running.port, request);
  const closing = (path: string) => get(path).replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n');

  const whole = await ask(closing('/whole'));
  t.equal(whole.end, 'close_notify');
  t.match(whole.text, /a part\r\n0\r\n\r\n$/);
  const old = await ask(get('/whole', '1.0'));
  t.equal(old.end, 'close_notify', 'the end of the connection is that of the body');
  t.match(old.text, /\r\n\r\na part$/);

  for (const request of [closing('/cut'), get('/cut'), get('/cut', '1.0')]) {
    const cut = await ask(request);
    t.match(cut.text, /a part/);
    t.notMatch(cut.text, /\r\n0\r\n/);
    t.not(cut.end, 'close_notify', request);
  }
});

t.test('a response before the request body ended is followed by close_notify', async (t) => {
  const running = await gateway(t, {
    ...{ listenAddr: 'tls://127.0.0.1:0', tlsCert: site.certFile, tlsKey: site.keyFile },
    config: { limits: { max_body: 10 }, routes: [{ path: '/', respond: { body: 'here' } }] },
  });
  const rest = 'x'.repeat(200_000);
  const request = `POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: ${rest.length}\r\n\r\n${rest}`;
  const { text, end } = await exchange(t, streams, running.port, request);
  t.match(text, /^HTTP\/1\.1 413 /);
  t.equal(end, 'close_notify');
});

t.test('an idle connection is closed with close_notify', async (t) => {
  const running = await gateway(t, {
    ...{ listenAddr: 'tls://127.0.0.1:0', tlsCert: site.certFile, tlsKey: site.keyFile },
    config: { timeouts: { idle: '200ms' }, routes: [{ path: '/', respond: { body: 'here' } }] },
  });
  t.match(await exchange(t, streams, running.port, get('/')), { text: /here$/, end: 'close_notify' });
});
