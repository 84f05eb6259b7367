import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { curl, noCurl } from './curl.js';
import { configured, front } from './front.js';
import { Client, origin } from './running.js';
import { caddy, noCaddy } from './servers.js';

const skip = noCaddy || noCurl;

t.test('files of Caddy: whole, ranges, conditions, compressed', { skip }, async (t) => {
  const server = await caddy(t, '  encode gzip\n  file_server');
  const bytes = randomBytes(3_000_000);
  const text = 'compress me '.repeat(20_000);
  writeFileSync(join(server.folder, 'root/file.bin'), bytes);
  writeFileSync(join(server.folder, 'root/file.txt'), text);
  const url = await front(t, server.url);
  for (let i = 0; i < 3; i++) t.ok((await curl(t, [`${url}/file.bin`])).stdout.equals(bytes));
  t.ok((await curl(t, ['-r', '-1000', `${url}/file.bin`])).stdout.equals(bytes.subarray(-1000)));
  const compressed = await curl(t, ['--compressed', `${url}/file.txt`]);
  t.match(compressed.first.headers, { 'content-encoding': ['gzip'] });
  t.equal(`${compressed.stdout}`, text);
  const condition = `If-None-Match: ${compressed.first.headers.etag![0]}`;
  t.equal((await curl(t, ['--compressed', '-H', condition, `${url}/file.txt`])).first.status, 304);
  t.equal((await curl(t, [`${url}/nothing`])).first.status, 404);
});

t.test('Caddy answers, fails, and closes connections', { skip }, async (t) => {
  const server = await caddy(
    t,
    '  respond /teapot short 418\n  error /error 503\n  @bye path /abort\n  abort @bye\n  respond /close closed {\n    close\n  }',
  );
  const client = new Client(t, Number(new URL(await front(t, server.url)).port));
  for (let i = 0; i < 3; i++) {
    t.match(await client.get('/teapot'), { status: 418, body: 'short' });
    t.match(await client.get('/error'), { status: 503 });
    t.match(await client.get('/close'), { status: 200, body: 'closed' });
    t.match(await client.get('/abort'), { status: 502 });
  }
  t.notOk(client.closed, 'the connection of the client is kept');
});

t.test('Caddy in front, and behind', { skip }, async (t) => {
  const upstream = await origin(t, (request, response) => {
    response.write(`${request.headers['x-forwarded-for']} ${request.headers['x-forwarded-host']} `);
    request.pipe(response);
  });
  const behind = await caddy(t, `  reverse_proxy ${upstream.slice('http://'.length)}`);
  const { url } = await configured(
    t,
    {},
    { trusted_proxies: ['127.0.0.1'], routes: [{ path: '/', upstream: behind.url }] },
  );
  const before = await caddy(t, `  reverse_proxy ${url.slice('http://'.length)}`);
  const bytes = 'x'.repeat(2_000_000);
  const { stdout } = await curl(t, ['--interface', '127.0.0.2', '-T', '-', before.url], bytes);
  const host = before.url.slice('http://'.length);
  t.equal(`${stdout.subarray(0, 100)}`.replace(/x.*/, ''), `127.0.0.1 ${host} `, 'Caddy trusts nobody');
  t.ok(`${stdout}`.endsWith(bytes));
});
