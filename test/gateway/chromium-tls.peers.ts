// Chromium, which checks certificates, by TLS through 4 workers to an https origin.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Page } from 'playwright-core';
import t, { type Test } from 'tap';
import type { WebSocket } from 'ws';
import { Authority } from '../support/certificates.js';
import { until } from '../support/wait.js';
import { gateway, IS_NODE } from './running.js';
import { noPolicy, noTrustingBrowser, presentingBrowser, trustingBrowser } from './trusting-browser.js';
import { drink, pour, SIZE, socketServer } from './web-sockets.js';

const skip = noTrustingBrowser;
const IMAGES = 60;
const EVENTS = 300;
/** Events of one response; then the browser has to connect again. */
const AT_ONCE = 100;
const images = Array.from({ length: IMAGES }, (_, i) => `<img src="/image/${i}">`).join('');
const PAGE = `<!doctype html><title>page</title>${images}<script>
  const SIZE = ${SIZE}, PIECE = 65536;
  async function digest(bytes) {
    const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
    return Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('');
  }
  function randomBytes() {
    const bytes = new Uint8Array(SIZE);
    for (let at = 0; at < SIZE; at += PIECE) crypto.getRandomValues(bytes.subarray(at, at + PIECE));
    return bytes;
  }
</script>`;
const FILE = Buffer.alloc(SIZE, 'a file of the origin, ');
const sha = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

const authority = await Authority.make(t);
const site = await authority.sign({ dns: ['a.test'] });
const own = await authority.sign({ ips: ['127.0.0.1'] });
const context = skip ? undefined : await trustingBrowser(t, authority);
/** What each request for events had as Last-Event-ID. */
const lastIds: unknown[] = [];

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.url === '/events') {
    const last = request.headers['last-event-id'];
    lastIds.push(last);
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('retry: 10\n\n');
    const first = Number(last ?? 0) + 1;
    for (let id = first; id < first + AT_ONCE; id++) response.write(`id: ${id}\ndata: ${id}\n\n`);
    response.end();
  } else if (request.url === '/upload') {
    const hash = createHash('sha256');
    for await (const bytes of request) hash.update(bytes);
    response.end(hash.digest('hex'));
  } else if (request.url === '/file') response.end(FILE);
  else if (request.url!.startsWith('/image/'))
    response
      .writeHead(200, { 'content-type': 'image/svg+xml', 'cache-control': 'no-store' })
      .end('<svg xmlns="http://www.w3.org/2000/svg" width="7" height="7"/>');
  else response.writeHead(200, { 'content-type': 'text/html' }).end(PAGE);
}

/** The gateway, and the page in a browser. */
async function opened(t: Test) {
  const sockets: WebSocket[] = [];
  const upstream = await socketServer(t, (socket) => sockets.push(socket), { pair: own, answer });
  const running = await gateway(t, {
    ...{ listenAddr: 'tls://127.0.0.1:0', tlsCert: site.certFile, tlsKey: site.keyFile },
    workers: IS_NODE ? 1 : 4,
    config: { routes: [{ path: '/', upstream, tls_ca: authority.file }] },
  });
  const page = await context!.newPage();
  t.teardown(() => page.close());
  page.on('pageerror', (error) => void t.fail(`page: ${error}`));
  const failed: string[] = [];
  page.on('requestfailed', (request) => failed.push(request.url()));
  const response = await page.goto(`https://a.test:${running.port}/`);
  t.match(await response!.securityDetails(), { protocol: 'TLS 1.3', subjectName: 'a.test' });
  return { running, page, sockets, failed };
}

const widths = (page: Page) => page.evaluate('[...document.images].map((one) => one.naturalWidth)');

t.test('a page with many images, again with resumed sessions', { skip }, async (t) => {
  const { running, page, failed } = await opened(t);
  for (let i = 0; i < 3; i++) {
    t.strictSame(await widths(page), Array(IMAGES).fill(7));
    await page.reload();
  }
  t.strictSame(failed, []);
  t.equal(running.metric('http_requests', { status_class: '2xx' }) >= 3 * IMAGES, true);
  const count = (result: string) => running.metric('tls_handshakes', { result });
  t.comment(`handshakes: ${count('full')} full, ${count('resumed')} resumed, ${count('failed')} failed`);
});

t.test('a WebSocket with 50 MB both ways at once', { skip }, async (t) => {
  const { page, sockets } = await opened(t);
  await page.evaluate(`
    received = [], left = SIZE, ended = undefined;
    socket = new WebSocket(location.href.replace('https:', 'wss:'));
    socket.binaryType = 'arraybuffer';
    socket.onclose = ({ code, reason }) => { ended = code + ' ' + reason; };
    whole = new Promise((resolve) => {
      socket.onmessage = ({ data }) => {
        received.push(data);
        left -= data.byteLength;
        if (left === 0) resolve(new Blob(received).arrayBuffer().then(digest));
      };
    });
    new Promise((resolve) => { socket.onopen = () => resolve(0); })`);
  await until('the origin has it', () => sockets.length === 1);
  const [socket] = sockets as [WebSocket];
  const got = drink(socket);
  const poured = page.evaluate(`(async () => {
    const bytes = randomBytes();
    for (let at = 0; at < SIZE; at += PIECE) {
      socket.send(bytes.subarray(at, at + PIECE));
      while (socket.bufferedAmount > 16 * PIECE) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    return digest(bytes);
  })()`);
  const sent = await pour(socket);
  t.equal(await page.evaluate('whole'), sent, 'from the origin');
  t.equal(await got, await poured, 'from the page');
  const end = once(socket, 'close');
  await page.evaluate("socket.close(4321, 'done'); 0");
  const [code, reason] = await end;
  t.strictSame([code, String(reason)], [4321, 'done']);
  await until('the page is told', async () => (await page.evaluate('ended')) === '4321 done');
});

t.test('events come in order, and go on where a connection ended', { skip }, async (t) => {
  const { page } = await opened(t);
  lastIds.length = 0;
  const got = await page.evaluate(`new Promise((resolve) => {
    const got = [];
    const source = new EventSource('/events');
    source.onmessage = ({ data, lastEventId }) => {
      if (data !== lastEventId) got.push('the id is ' + lastEventId);
      got.push(Number(data));
      if (got.length < ${EVENTS}) return;
      source.close();
      resolve(got);
    };
  })`);
  t.strictSame(
    got,
    Array.from({ length: EVENTS }, (_, i) => i + 1),
  );
  t.strictSame(lastIds, [undefined, '100', '200']);
});

t.test('50 MB up and 50 MB down by fetch', { skip }, async (t) => {
  const { page, failed } = await opened(t);
  // A Blob, whose bytes are not sent to the debugger, which takes half a minute for them.
  const [sent, told] = (await page.evaluate(`(async () => {
    const body = randomBytes();
    const response = await fetch('/upload', { method: 'POST', body: new Blob([body]) });
    return [await digest(body), await response.text()];
  })()`)) as [string, string];
  t.equal(told, sent, 'up');
  const download = "fetch('/file').then((one) => one.arrayBuffer()).then(digest)";
  t.equal(await page.evaluate(download), sha(FILE), 'down');
  t.strictSame(failed, []);
});

t.test('http is redirected, and after HSTS not asked any more', { skip }, async (t) => {
  // Counters tell the listeners apart by their addresses.
  const [PLAIN, SECURE] = ['127.0.0.2:0', '127.0.0.1:0'];
  const running = await gateway(t, {
    listenAddr: [PLAIN, `tls://${SECURE}`],
    ...{ tlsCert: site.certFile, tlsKey: site.keyFile },
    config: {
      ...{ https_redirection: true, hsts: { max_age: 60 } },
      routes: [{ path: '/', respond: { body: 'here' } }],
    },
  });
  const { listening } = await running.handle.ready;
  const portOf = (address: string) => listening.find((one) => one.address === address)!.port;
  const [plain, secure] = [portOf('127.0.0.2'), portOf('127.0.0.1')];
  // HSTS keeps a port that is not 80 (RFC 6797, section 8.3): the browser must think that it is.
  const hosts = `MAP a.test:80 127.0.0.2:${plain}, MAP a.test 127.0.0.1:${secure}`;
  const context = await trustingBrowser(t, authority, hosts);
  const visit = async (path: string) => {
    const page = await context.newPage();
    const response = await page.goto(`http://a.test${path}`);
    t.equal(await response!.text(), 'here');
    const before = (await response!.request().redirectedFrom()?.response())!;
    return { url: page.url(), status: before.status(), location: before.headers().location };
  };
  const location = `https://a.test:${secure}/x?y`;
  t.strictSame(await visit('/x?y'), { url: location, status: 308, location });
  const connects = running.metric('http_connects', { listener: PLAIN });
  t.ok(connects >= 1);
  t.match(await visit('/z'), { url: 'https://a.test/z', status: 307 }, 'the redirection is its own');
  t.equal(running.metric('http_connects', { listener: PLAIN }), connects, 'no connection without TLS');
});

t.test('a certificate of the browser', { skip: noPolicy }, async (t) => {
  const upstream = await socketServer(t, () => undefined, {
    answer: (request, response) => response.end(String(request.headers['x-subject'])),
  });
  const running = await gateway(t, {
    listenAddr: 'tls://127.0.0.1:0',
    config: {
      certificates: [{ cert_file: site.certFile, key_file: site.keyFile, client_ca_file: authority.file }],
      client_certificate: { subject_field: 'X-Subject' },
      routes: [{ path: '/', upstream }],
    },
  });
  const client = await authority.sign({ dns: ['client.test'] });
  const page = await (await presentingBrowser(t, authority, client)).newPage();
  for (let i = 0; i < 2; i++) {
    const response = await page.goto(`https://a.test:${running.port}/${i}`);
    t.equal(await response!.text(), 'CN=client.test');
  }
  const other = await context!.newPage();
  // A connection that was refused before the browser used it is not connected, to the browser, and it does not look for the alert.
  const message = /ERR_(BAD_SSL_CLIENT_AUTH_CERT|SOCKET_NOT_CONNECTED|CONNECTION_\w+)/;
  await t.rejects(other.goto(`https://a.test:${running.port}/`), { message });
  t.match(await running.notice('handshake_failed'), { fields: { reason: /it showed no certificate/ } });
});
