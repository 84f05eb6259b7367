// WebSocket by Chromium, curl and openssl.
import t, { type Test } from 'tap';
import { missing } from '../lan/tools.js';
import { upgrade } from '../service/tunnels.js';
import { newPage, noChromium } from '../status/browser.js';
import { Authority } from '../support/certificates.js';
import { startProgram } from '../support/command.js';
import { until } from '../support/wait.js';
import { noCurl } from './curl.js';
import { configured, front } from './front.js';
import { echo, socketServer } from './web-sockets.js';

const noOpenssl = missing('openssl');
const authority = await Authority.make(t);
const site = await authority.sign({ dns: ['localhost'] });

/** Functions of the page. */
const SCRIPT = `
  const digest = async (pieces) => {
    const hash = await crypto.subtle.digest('SHA-256', await new Blob(pieces).arrayBuffer());
    return [...new Uint8Array(hash)].map((one) => one.toString(16).padStart(2, '0')).join('');
  };
  const opened = (path) => new Promise((resolve, reject) => {
    const socket = new WebSocket(location.origin.replace('http', 'ws') + path, ['one', 'two']);
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => resolve(socket);
    socket.onerror = () => reject(new Error('no connection'));
  });
  const next = (socket) => new Promise((resolve, reject) => {
    socket.onmessage = ({ data }) => resolve(data);
    socket.onclose = ({ code }) => reject(new Error('closed: ' + code));
  });
  const closed = (socket) => new Promise((resolve) => {
    socket.onclose = ({ code, reason, wasClean }) => resolve([code, reason, wasClean]);
  });
  const random = (length) => {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
    return bytes;
  };`;

/** A page behind the gateway, on a server whose WebSocket does what the path says. */
async function page(t: Test, secure: boolean, codes: number[]) {
  const upstream = await socketServer(
    t,
    (socket, { url }) => {
      socket.on('close', (code) => codes.push(code));
      if (url === '/leave') socket.close(4001, 'as asked');
      else if (url === '/vanish') socket.terminate();
      else echo(socket);
    },
    {
      answer: (_, response) => {
        response.setHeader('content-type', 'text/html');
        response.end(`<!doctype html><title>page</title><script>${SCRIPT}</script>`);
      },
    },
  );
  const { port } = await configured(
    t,
    {},
    {
      listen: [secure ? 'tls://127.0.0.1:0' : '127.0.0.1:0'],
      ...(secure && { certificates: [{ cert_file: site.certFile, key_file: site.keyFile }] }),
      routes: [{ path: '/', upstream }],
    },
  );
  const page = await newPage(t, { ignoreHTTPSErrors: true });
  page.on('pageerror', (error) => void t.fail(`page: ${error}`));
  await page.goto(`${secure ? 'https' : 'http'}://localhost:${port}/`);
  return page;
}

for (const secure of [false, true]) {
  const by = secure ? 'wss' : 'ws';

  t.test(`Chromium, ${by}: texts, 10 MB, close codes both ways`, { skip: noChromium }, async (t) => {
    const codes: number[] = [];
    const chromium = await page(t, secure, codes);
    const told = await chromium.evaluate(`(async () => {
      const socket = await opened('/echo');
      const texts = [];
      for (const text of ['', 'grün', 'x'.repeat(100_000)]) {
        socket.send(text);
        texts.push(await next(socket) === text);
      }
      const bytes = random(10_000_000);
      socket.send(bytes);
      const same = await digest([await next(socket)]) === await digest([bytes]);
      const end = closed(socket);
      socket.close(3000, 'done');
      return { protocol: socket.protocol, texts, same, end: await end };
    })()`);
    t.strictSame(told, { protocol: 'one', texts: [true, true, true], same: true, end: [3000, 'done', true] });
    await until('the server is told', () => codes.length === 1);
    t.strictSame(codes, [3000]);
    const ends = (path: string) => chromium.evaluate(`opened('${path}').then(closed)`);
    t.strictSame(await ends('/leave'), [4001, 'as asked', true]);
    t.strictSame(await ends('/vanish'), [1006, '', false]);
  });
}

/** A frame with a text (RFC 6455, section 5.2), as a server sends it. */
const frame = (text: string) => `\x81${String.fromCharCode(text.length)}${text}`;

t.test('curl --include -N', { skip: noCurl }, async (t) => {
  const url = await front(
    t,
    await socketServer(t, (socket) => {
      socket.send('hello');
      socket.close();
    }),
  );
  const fields = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
  const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
  const args = [...fields, key].flatMap((field) => ['-H', field]);
  const running = startProgram(t, 'curl', ['--include', '-N', '-s', '--max-time', '20', ...args, url]);
  const got = () => running.stdout.toString('latin1');
  await until('the message', () => got().includes(frame('hello')) || running.ended);
  t.match(got(), /^HTTP\/1\.1 101 Switching Protocols\r\n/);
  t.match(got(), /\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/i);
  t.ok(got().includes(`\r\n\r\n${frame('hello')}`));
});

t.test('openssl s_client', { skip: noOpenssl }, async (t) => {
  const messages: string[] = [];
  const upstream = await socketServer(t, (socket) => {
    socket.on('message', (data) => {
      messages.push(String(data));
      socket.send('hello');
    });
  });
  const { port } = await configured(
    t,
    {},
    {
      listen: ['tls://127.0.0.1:0'],
      certificates: [{ cert_file: site.certFile, key_file: site.keyFile }],
      routes: [{ path: '/', upstream }],
    },
  );
  const running = startProgram(t, 'openssl', [
    ...['s_client', '-quiet', '-connect', `127.0.0.1:${port}`, '-CAfile', authority.file],
  ]);
  running.child.stdin!.write(upgrade());
  const got = () => running.stdout.toString('latin1');
  await until('the 101', () => got().includes('\r\n\r\n') || running.ended);
  t.match(got(), /^HTTP\/1\.1 101 /);
  // "hi", with a mask of zeros.
  running.child.stdin!.write(Buffer.from('\x81\x82\0\0\0\0hi', 'latin1'));
  await until('the message', () => got().endsWith(frame('hello')) || running.ended);
  t.strictSame(messages, ['hi']);
  t.ok(got().endsWith(`\r\n\r\n${frame('hello')}`));
});
