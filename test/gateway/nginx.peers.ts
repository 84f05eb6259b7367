import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import t from 'tap';
import { Random } from '../support/random.js';
import { until } from '../support/wait.js';
import { curl, noCurl } from './curl.js';
import { configured, front } from './front.js';
import { Client, origin } from './running.js';
import { nginx, noNginx } from './servers.js';

const skip = noNginx || noCurl;
const SIZE = 5_000_000;

t.test('files of nginx, with ranges and conditions', { skip }, async (t) => {
  const server = await nginx(t, 'sendfile on; location /none { return 204; }');
  const bytes = randomBytes(SIZE);
  writeFileSync(join(server.folder, 'root/file.bin'), bytes);
  const url = `${await front(t, server.url)}/file.bin`;
  for (let i = 0; i < 3; i++) t.ok((await curl(t, [url])).stdout.equals(bytes));
  const part = await curl(t, ['-r', '1000-1999', url]);
  t.equal(part.first.status, 206);
  t.ok(part.stdout.equals(bytes.subarray(1000, 2000)));
  const { first } = await curl(t, ['-I', url]);
  t.match(first.headers, { 'content-length': [`${SIZE}`], 'accept-ranges': ['bytes'] });
  const condition = `If-None-Match: ${first.headers.etag![0]}`;
  const conditional = await curl(t, ['-H', condition, url, url]);
  t.strictSame(
    conditional.transfers.map(({ status, connects }) => [status, connects]),
    [
      [304, 1],
      [304, 0],
    ],
  );
});

t.test('nginx compresses for a proxy where gzip_proxied allows it', { skip }, async (t) => {
  const zip = 'gzip on; gzip_types text/plain; gzip_min_length 0;';
  const server = await nginx(t, `${zip} location /any { gzip_proxied any; alias root; }`);
  const text = 'compress me '.repeat(20_000);
  writeFileSync(join(server.folder, 'root/file.txt'), text);
  const url = await front(t, server.url);
  const any = await curl(t, ['--compressed', `${url}/any/file.txt`]);
  t.match(any.first.headers, { 'content-encoding': ['gzip'], 'transfer-encoding': ['chunked'] });
  t.equal(`${any.stdout}`, text);
  const old = await curl(t, ['--compressed', '--http1.0', `${url}/any/file.txt`]);
  t.equal(`${old.stdout}`, text);
  const off = await curl(t, ['--compressed', `${url}/file.txt`]);
  t.notOk('content-encoding' in off.first.headers, 'Via tells it of a proxy');
  t.equal(`${off.stdout}`, text);
});

t.test('uploads to nginx, of known and unknown length, and one that it refuses', { skip }, async (t) => {
  const server = await nginx(t, `dav_methods PUT; client_max_body_size ${SIZE};`);
  const bytes = randomBytes(SIZE);
  const cwd = t.testdir();
  writeFileSync(join(cwd, 'known'), bytes);
  const url = await front(t, server.url);
  const stored = (name: string) => readFileSync(join(server.folder, 'root', name)).equals(bytes);
  t.equal((await curl(t, ['-T', 'known', `${url}/known`], '', { cwd })).first.status, 201);
  t.ok(stored('known'));
  t.equal((await curl(t, ['-T', '-', `${url}/unknown`], bytes)).first.status, 201);
  t.ok(stored('unknown'));
  const large = Buffer.concat([bytes, bytes]);
  writeFileSync(join(cwd, 'large'), large);
  for (let i = 0; i < 5; i++) {
    const known = await curl(t, ['-T', 'large', '-H', 'Expect:', `${url}/large`], '', { cwd });
    t.equal(known.first.status, 413);
    const unknown = await curl(t, ['-T', '-', '-H', 'Expect:', `${url}/large`], large);
    t.equal(unknown.first.status, 413);
  }
});

t.test('errors of nginx pass; a connection that it closes without a response is 502', { skip }, async (t) => {
  const server = await nginx(
    t,
    `location /500 { return 500 "sorry\\n"; }
     location /closes { return 444; }
     location /moved { return 301 /there; }`,
  );
  const url = await front(t, server.url);
  const get = async (path: string) => {
    const { first, stdout } = await curl(t, [`${url}${path}`]);
    return [first.status, `${stdout}`];
  };
  t.match(await get('/nothing'), [404, /nginx/]);
  t.strictSame(await get('/500'), [500, 'sorry\n']);
  t.strictSame(await get('/closes'), [502, 'the upstream closed the connection before it answered\n']);
  const moved = await curl(t, [`${url}/moved`]);
  t.strictSame(moved.first.headers.location, [`${url}/there`], 'Host is kept');
});

t.test('connections that nginx closes: at once, after a few requests', { skip }, async (t) => {
  const server = await nginx(
    t,
    `location /ends { keepalive_timeout 0; return 200 $connection_requests; }
     location /few { keepalive_requests 3; return 200 $connection_requests; }`,
  );
  const client = new Client(t, Number(new URL(await front(t, server.url)).port));
  const bodies = async (path: string) => {
    const all: string[] = [];
    for (let i = 0; i < 7; i++) all.push((await client.get(path)).body);
    return all.join('');
  };
  t.equal(await bodies('/ends'), '1111111');
  t.equal(await bodies('/few'), '1231231');
});

t.test('a kept connection that nginx closes at the moment it is used', { skip }, async (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  const server = await nginx(t, 'keepalive_timeout 100ms; location / { return 200 $request_uri; }');
  const port = Number(new URL(await front(t, server.url)).port);
  const agent = new Agent({ keepAlive: true });
  t.teardown(() => agent.destroy());
  const ask = (method: string, path: string) =>
    new Promise<string>((resolve, reject) => {
      const asking = request({ agent, port, method, path }, (response) => {
        let body = '';
        response.on('data', (text) => {
          body += text;
        });
        response.on('end', () => resolve(`${response.statusCode} ${body}`));
      });
      asking.on('error', reject);
      asking.end(method === 'POST' ? 'body' : undefined);
    });
  let failedPosts = 0;
  const visitor = async (name: number) => {
    for (let i = 0; i < 25; i++) {
      // Around the time when nginx closes.
      await wait(random.integer(90, 110));
      const path = `/${name}-${i}`;
      const got = await ask('GET', path);
      if (got !== `200 ${path}`) t.fail(`GET ${path}: ${got}`);
      await wait(random.integer(90, 110));
      const posted = await ask('POST', `/post${path}`);
      if (posted.startsWith('502')) failedPosts++;
      else if (posted !== `200 /post${path}`) t.fail(`POST ${path}: ${posted}`);
    }
  };
  await Promise.all(Array.from({ length: 20 }, (_, name) => visitor(name)));
  t.comment(`${failedPosts} of 500 POST failed, which may not be sent again`);
  const seen = () => readFileSync(join(server.folder, 'access.log'), 'utf8').trim().split('\n');
  await until('the log of nginx', () => seen().length >= 1000 - failedPosts);
  const posts = seen().filter((line) => line.startsWith('/post'));
  t.equal(new Set(posts).size, posts.length, 'no POST was sent twice');
});

for (const [name, directives] of [
  ['HTTP/1.0', ''],
  ['HTTP/1.1', 'proxy_http_version 1.1; proxy_set_header Connection "";'],
] as const)
  t.test(`nginx in front, by ${name}`, { skip }, async (t) => {
    const upstream = await origin(t, (request, response) => {
      const { 'x-forwarded-for': address, 'x-forwarded-proto': protocol, host } = request.headers;
      response.end(`${address} ${protocol} ${host} ${request.headers['x-real-ip']}`);
    });
    const { gateway, port } = await configured(
      t,
      {},
      { trusted_proxies: ['127.0.0.1'], routes: [{ path: '/', upstream }], access_log: { to: '-' } },
    );
    const server = await nginx(
      t,
      `location / {
         proxy_pass http://gateway;
         proxy_set_header Host $host;
         proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
         proxy_set_header X-Forwarded-Proto https;
         ${directives}
       }`,
      `upstream gateway { server 127.0.0.1:${port}; keepalive 8; }`,
    );
    // From another address than that of nginx, with a field of its own.
    const args = ['--interface', '127.0.0.2', '-H', 'X-Forwarded-For: 10.9.9.9', '-H', 'Host: a.test'];
    const { first, stdout } = await curl(t, [...args, server.url]);
    t.equal(first.status, 200);
    t.equal(`${stdout}`, '10.9.9.9, 127.0.0.2, 127.0.0.1 https a.test 127.0.0.2');
    await until('a record', () => gateway.stdout.includes('\n'));
    t.match(JSON.parse(`${gateway.stdout}`), { client: '127.0.0.2', status: 200 });
    const more = await curl(t, [`${server.url}/[1-20]`]);
    t.ok(more.transfers.every(({ status }) => status === 200));
  });
