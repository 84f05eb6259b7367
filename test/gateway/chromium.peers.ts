import { createHash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { newPage, noChromium } from '../status/browser.js';
import { Authority } from '../support/certificates.js';
import { until } from '../support/wait.js';
import { configured } from './front.js';
import { origin } from './running.js';

const skip = noChromium;

t.test('a page with files of a folder and answers of an app', { skip }, async (t) => {
  const images = Array.from({ length: 30 }, (_, i) => `<img src="/app/image/${i}">`).join('');
  const cwd = t.testdir({
    root: {
      'index.html': `<!doctype html><title>page</title><link rel=stylesheet href=style.css>${images}<script type=module src=code.js></script>`,
      'style.css': 'body { color: rgb(1, 2, 3) }',
      'code.js': "document.title = await (await fetch('/app/title')).text();",
    },
  });
  const upstream = await origin(t, (request, response) => {
    if (request.url === '/title') response.end('answered');
    else {
      response.setHeader('content-type', 'image/svg+xml');
      response.end('<svg xmlns="http://www.w3.org/2000/svg" width="7" height="7"/>');
    }
  });
  const { url } = await configured(
    t,
    { cwd },
    {
      routes: [
        { path: '/app', upstream, strip_prefix: '/app' },
        { path: '/', static: { root: 'root' } },
      ],
    },
  );
  const page = await newPage(t);
  page.on('pageerror', (error) => void t.fail(`page: ${error}`));
  const failed: string[] = [];
  page.on('requestfailed', (request) => failed.push(request.url()));
  for (const again of [false, true]) {
    await (again ? page.reload() : page.goto(url));
    await until('the title', async () => (await page.title()) === 'answered');
    const shown = await page.evaluate(`({
      widths: [...document.images].map((one) => one.naturalWidth),
      color: getComputedStyle(document.body).color,
    })`);
    t.strictSame(shown, { widths: Array(30).fill(7), color: 'rgb(1, 2, 3)' });
  }
  t.strictSame(failed, []);
});

t.test('a form with a file', { skip }, async (t) => {
  const form = `<!doctype html><title>form</title><form method=post enctype=multipart/form-data action=/upload>
    <input type=file name=file><input name=word value="gr&uuml;n"><button>send</button></form>`;
  const upstream = await origin(t, async (request, response) => {
    response.setHeader('content-type', 'text/html; charset=utf-8');
    if (request.url !== '/upload') {
      response.end(form);
      return;
    }
    const body: Buffer[] = [];
    for await (const bytes of request) body.push(bytes);
    const all = Buffer.concat(body);
    const begin = all.indexOf('\r\n\r\n') + 4;
    const file = all.subarray(begin, begin + SIZE);
    const word = /name="word"\r\n\r\n(.*)\r\n/.exec(all.subarray(begin + SIZE).toString('utf8'))?.[1];
    const { origin } = request.headers;
    response.end(`<!doctype html><title>${digest(file)} ${word} ${origin}</title>`);
  });
  const SIZE = 20_000_000;
  const bytes = randomBytes(SIZE);
  const cwd = t.testdir();
  writeFileSync(join(cwd, 'file.bin'), bytes);
  const { url } = await configured(t, { cwd }, { routes: [{ path: '/', upstream }] });
  const page = await newPage(t);
  await page.goto(url);
  await page.locator('input[type=file]').setInputFiles(join(cwd, 'file.bin'));
  await page.getByRole('button', { name: 'send' }).click();
  await page.waitForURL(`${url}/upload`);
  t.equal(await page.title(), `${digest(bytes)} grün ${url}`);
});

t.test(
  'an event stream outlives the time-out of other responses, and connects again',
  { skip },
  async (t) => {
    const streams: { id: unknown; left: boolean; send: (text: string) => void; end: () => void }[] = [];
    const upstream = await origin(t, (request, response) => {
      if (request.url === '/events') {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write('retry: 10\n\n');
        const stream = {
          ...{ id: request.headers['last-event-id'], left: false },
          send: (text: string) => void response.write(text),
          end: () => void response.end(),
        };
        response.once('close', () => {
          stream.left = true;
        });
        streams.push(stream);
      } else if (request.url === '/silent') response.write('begin');
      else response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>page</title>');
    });
    const { url } = await configured(
      t,
      {},
      {
        timeouts: { response_body: '300ms' },
        routes: [{ path: '/', upstream }],
      },
    );
    const page = await newPage(t);
    await page.goto(url);
    await page.evaluate(`
    got = [];
    source = new EventSource('/events');
    source.onmessage = ({ data }) => { got.push(data); };
    source.onerror = () => { got.push('error'); }; 0`);
    const got = () => page.evaluate('got') as Promise<string[]>;
    await until('it is connected', () => streams.length === 1);
    for (const number of [1, 2, 3]) {
      streams[0]!.send(`id: ${number}\ndata: ${number}\n\n`);
      await until(`event ${number}`, async () => (await got()).length === number);
      // Both are silent meanwhile.
      const cut = await page.evaluate(
        "fetch('/silent').then((one) => one.text()).catch((error) => error.name)",
      );
      t.equal(cut, 'TypeError');
    }
    t.notOk(streams[0]!.left);
    streams[0]!.end();
    await until('it is connected again', () => streams.length === 2);
    t.equal(streams[1]!.id, '3', 'Last-Event-ID');
    streams[1]!.send('id: 4\ndata: 4\n\n');
    await until('event 4', async () => (await got()).includes('4'));
    t.strictSame(await got(), ['1', '2', '3', 'error', '4']);
    await page.evaluate('source.close(); 0');
    await until('the request of the origin ended', () => streams[1]!.left);
  },
);

t.test('https: a page, an upload and an event stream of two hosts', { skip }, async (t) => {
  const authority = await Authority.make(t);
  const pairs = await Promise.all(
    ['localhost', '*.localhost'].map((name) => authority.sign({ dns: [name] })),
  );
  const upstream = await origin(t, async (request, response) => {
    if (request.url === '/events') {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: one\n\n');
      return;
    }
    const body: Buffer[] = [];
    for await (const bytes of request) body.push(bytes);
    response.writeHead(200, { 'content-type': 'text/html' });
    response.end(
      request.method === 'POST' ? digest(Buffer.concat(body)) : '<!doctype html><title>page</title>',
    );
  });
  const { port } = await configured(
    t,
    {},
    {
      listen: ['tls://127.0.0.1:0'],
      certificates: pairs.map(({ certFile, keyFile }) => ({ cert_file: certFile, key_file: keyFile })),
      hsts: { max_age: 0 },
      routes: [{ path: '/', upstream }],
    },
  );
  const page = await newPage(t, { ignoreHTTPSErrors: true });
  for (const host of ['localhost', 'app.localhost']) {
    const response = await page.goto(`https://${host}:${port}/`);
    t.match(await response!.securityDetails(), { protocol: 'TLS 1.3' }, host);
    t.equal(await page.title(), 'page');
    t.equal(await page.evaluate('location.protocol'), 'https:');
    const bytes = Buffer.alloc(5_000_000, 'x');
    const uploaded = "fetch('/', { method: 'POST', body: 'x'.repeat(5_000_000) }).then((one) => one.text())";
    t.equal(await page.evaluate(uploaded), digest(bytes));
    const event = `new Promise((resolve) => {
      const source = new EventSource('/events');
      source.onmessage = ({ data }) => { source.close(); resolve(data); };
    })`;
    t.equal(await page.evaluate(event), 'one');
  }
});

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
