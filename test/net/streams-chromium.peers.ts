import { createHash, createPublicKey } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { type Connection, chooseEngine } from 'mproxy-net';
import t, { type Test } from 'tap';
import { launch, noChromium } from '../status/browser.js';
import { Authority } from '../support/certificates.js';
import { until } from '../support/wait.js';
import { listen } from './connections.js';
import { notLinux, relay } from './tls-channels.js';

/** Connections of a browser to one host, at most, with HTTP/1.1. */
const PARALLEL = 6;
const PAGE = `<!doctype html><title>loading</title><script>
  Promise.all([...Array(${PARALLEL}).keys()].map((i) => fetch('/part/' + i).then((answer) => answer.text())))
    .then((parts) => { document.title = parts.map((part) => part.length).join(); });
</script>`;
const PART = 'x'.repeat(100_000);

/** Serves the page; its parts when all are asked for, so that they need a connection each. Each answer ends its connection. */
class Site {
  readonly connections: Connection[] = [];
  #waiting: (() => void)[] = [];

  take(connection: Connection): void {
    this.connections.push(connection);
    let request = '';
    connection.start({
      onData: (bytes) => {
        request += bytes.toString('latin1');
        if (!request.endsWith('\r\n\r\n')) return;
        const [, path] = request.split(' ');
        if (path?.startsWith('/part/')) this.#answerTogether(() => answer(connection, 200, PART));
        else answer(connection, path === '/' ? 200 : 404, PAGE);
      },
      onEnd: () => connection.end(),
      onClose: () => undefined,
    });
  }

  #answerTogether(answer: () => void): void {
    this.#waiting.push(answer);
    if (this.#waiting.length < PARALLEL) return;
    for (const answer of this.#waiting.splice(0)) answer();
  }
}

function answer(connection: Connection, status: number, body: string): void {
  const head = `HTTP/1.1 ${status} -\r\nContent-Type: text/html\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`;
  connection.write([Buffer.from(head), Buffer.from(body)]);
  connection.linger(5000);
}

/** What the browser is to accept without a CA: the hash of the public key. */
function publicKeyHash(key: string): string {
  const der = createPublicKey(key).export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(der).digest('base64');
}

async function open(t: Test, url: string, ...keys: string[]) {
  const browser = await launch([
    '--host-resolver-rules=MAP *.test 127.0.0.1',
    `--ignore-certificate-errors-spki-list=${keys.map(publicKeyHash).join()}`,
  ]);
  t.teardown(() => browser.close());
  const page = await browser.newPage();
  const load = async () => {
    await page.goto(url);
    await until('all parts', async () => (await page.title()) !== 'loading', 20_000);
    return page.title();
  };
  return { load };
}

t.test('Chromium loads a page by TLS', { skip: notLinux || noChromium }, async (t) => {
  const authority = await Authority.make(t);
  const pairs = [await authority.sign({ dns: ['one.test'] }), await authority.sign({ dns: ['two.test'] })];
  const site = new Site();
  const failed: Error[] = [];
  const { port } = await listen(t, chooseEngine('linux').engine.streams, {
    tls: { pairs, alpn: ['http/1.1'] },
    onConnection: (connection) => site.take(connection),
    onHandshakeError: (error) => failed.push(error),
  });
  const hellos: number[] = [];
  // Each ClientHello arrives in two pieces, cut behind the header of its record.
  const begun = new Set<object>();
  const { port: through } = await relay(t, port, async (bytes, on, fromClient) => {
    if (!fromClient || begun.has(on)) return on.write(bytes);
    begun.add(on);
    hellos.push(bytes.readUInt16BE(3));
    on.write(bytes.subarray(0, 5));
    await turn();
    return on.write(bytes.subarray(5));
  });
  const { load } = await open(t, `https://two.test:${through}/`, ...pairs.map(({ key }) => key));
  const whole = Array(PARALLEL).fill(PART.length).join();
  t.equal(await load(), whole);
  t.ok(site.connections.length > PARALLEL, `${site.connections.length} connections`);
  for (const { tls } of site.connections)
    t.match(tls, { version: 'TLSv1.3', alpn: 'http/1.1', serverName: 'two.test' });
  t.ok(Math.min(...hellos) > 1460, `ClientHello of ${Math.min(...hellos)} bytes, more than a segment`);
  const first = site.connections.length;
  t.equal(await load(), whole, 'again');
  const again = site.connections.slice(first);
  t.ok(again.length > PARALLEL);
  t.ok(
    again.some(({ tls }) => tls!.resumed),
    'a session is resumed',
  );
  t.comment(`${again.filter(({ tls }) => tls!.resumed).length} of ${again.length} resumed`);
  t.strictSame(failed, []);
});
