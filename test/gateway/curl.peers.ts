import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { start, startProgram } from '../support/command.js';
import { shortFolder } from '../support/short-folder.js';
import { until } from '../support/wait.js';
import { curl, noCurl } from './curl.js';
import { configured, front } from './front.js';
import { origin, served } from './running.js';

const skip = noCurl;
const SIZE = 8 * 1024 * 1024;

/** Answers with the digest of the body, and what it saw of the head. */
async function digest(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const hash = createHash('sha256');
  for await (const bytes of request) hash.update(bytes);
  const { method, httpVersion, headers } = request;
  response.end(JSON.stringify({ method, httpVersion, headers, digest: hash.digest('hex') }));
}

function digestOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

t.test('GET, with the fields that the gateway adds', { skip }, async (t) => {
  const url = await front(t, await origin(t, digest));
  const { first, stdout } = await curl(t, [`${url}/path?query`]);
  t.match(first, { status: 200, version: '1.1', error: undefined });
  const { headers } = JSON.parse(`${stdout}`);
  t.match(headers, {
    'user-agent': /^curl/,
    'x-forwarded-for': '127.0.0.1',
    'x-real-ip': '127.0.0.1',
    'x-forwarded-proto': 'http',
    'x-forwarded-host': url.slice('http://'.length),
    via: '1.1 mproxy',
    host: url.slice('http://'.length),
  });
});

t.test('HEAD has the length of the body and no body, and the connection is kept', { skip }, async (t) => {
  const upstream = await origin(t, (_, response) => {
    response.setHeader('content-length', 12_345);
    response.end('x'.repeat(12_345));
  });
  const url = await front(t, upstream);
  const { transfers, stdout } = await curl(t, ['-I', url, url]);
  t.match(`${stdout}`, /^HTTP\/1\.1 200 OK\r\n[^<]*HTTP\/1\.1 200 OK\r\n/);
  for (const { headers } of transfers) t.strictSame(headers['content-length'], ['12345']);
  t.strictSame(
    transfers.map(({ connects }) => connects),
    [1, 0],
  );
});

t.test('one connection is used again for all', { skip }, async (t) => {
  const url = await front(t, await origin(t));
  const { transfers, stdout } = await curl(t, [`${url}/[1-20]`]);
  t.strictSame(
    transfers.map(({ connects }) => connects),
    [1, ...Array(19).fill(0)],
  );
  t.equal(`${stdout}`, Array.from({ length: 20 }, (_, i) => `/${i + 1}`).join(''));
});

t.test('fifty at the same time get each its own answer', { skip }, async (t) => {
  const url = await front(t, await origin(t));
  const cwd = t.testdir();
  const args = ['-Z', '--no-progress-meter', '--parallel-max', '50', `${url}/[1-500]`, '-o', '#1'];
  const { transfers } = await curl(t, args, '', { cwd });
  t.equal(transfers.length, 500);
  t.ok(transfers.every(({ status }) => status === 200));
  for (let i = 1; i <= 500; i++) if (readFileSync(join(cwd, `${i}`), 'utf8') !== `/${i}`) t.fail(`/${i}`);
});

t.test('an upload from a file, with Expect: 100-continue', { skip }, async (t) => {
  const server = createServer(digest);
  let expected = 0;
  server.on('checkContinue', (request, response) => {
    expected++;
    response.writeContinue();
    void digest(request, response);
  });
  const url = await front(t, await served(t, server));
  const bytes = randomBytes(SIZE);
  const file = join(t.testdir(), 'upload');
  writeFileSync(file, bytes);
  // Longer than the test may take: the answer of the origin is waited for.
  const args = ['-i', '-T', file, '--expect100-timeout', '60', '-H', 'Expect: 100-continue', `${url}/file`];
  const { first, stdout } = await curl(t, args);
  t.match(first, { status: 200, uploaded: SIZE });
  t.match(`${stdout}`, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
  const seen = JSON.parse(/\{.*\}/.exec(`${stdout}`)![0]);
  t.match(seen, { method: 'PUT', digest: digestOf(bytes), headers: { 'content-length': `${SIZE}` } });
  t.equal(expected, 1);
});

t.test('an upload that the origin refuses before it was sent', { skip }, async (t) => {
  const server = createServer();
  server.on('checkContinue', (_, response) => response.writeHead(413).end('too large\n'));
  const url = await front(t, await served(t, server));
  const file = join(t.testdir(), 'upload');
  writeFileSync(file, randomBytes(SIZE));
  const args = ['-T', file, '--expect100-timeout', '60', '-H', 'Expect: 100-continue', `${url}/file`];
  const { first, stdout } = await curl(t, args);
  t.match(first, { status: 413, uploaded: 0, error: undefined });
  t.equal(`${stdout}`, 'too large\n');
});

t.test('an upload that the origin refuses while it is sent', { skip }, async (t) => {
  // It closes the connection (node:http does, when the request is not read).
  const upstream = await origin(t, (_, response) => {
    response.writeHead(413, { connection: 'close' }).end('too large\n');
  });
  const url = await front(t, upstream);
  const file = join(t.testdir(), 'upload');
  writeFileSync(file, randomBytes(SIZE));
  for (let i = 0; i < 20; i++) {
    const { first, stdout } = await curl(t, ['-T', file, '-H', 'Expect:', `${url}/file`]);
    t.equal(first.status, 413);
    t.equal(`${stdout}`, 'too large\n');
  }
});

t.test('a chunked upload of unknown length', { skip }, async (t) => {
  const url = await front(t, await origin(t, digest));
  const bytes = randomBytes(SIZE);
  const { stdout } = await curl(t, ['-T', '-', `${url}/file`], bytes);
  const seen = JSON.parse(`${stdout}`);
  t.match(seen, { method: 'PUT', digest: digestOf(bytes), headers: { 'transfer-encoding': 'chunked' } });
  t.notOk('content-length' in seen.headers);
});

t.test('a form with a file', { skip }, async (t) => {
  const url = await front(t, await origin(t, digest));
  const file = join(t.testdir({ file: 'content of the file' }), 'file');
  const { stdout } = await curl(t, ['-F', `file=@${file}`, '-F', 'name=value', url]);
  t.match(JSON.parse(`${stdout}`), {
    method: 'POST',
    headers: { 'content-type': /^multipart\/form-data; / },
  });
});

t.test('HTTP/1.0 gets the body of a chunked response, until the connection closes', { skip }, async (t) => {
  const bytes = randomBytes(SIZE);
  const upstream = await origin(t, (request, response) => {
    if (request.url === '/empty') response.writeHead(204).end();
    else if (request.url === '/long') response.write(bytes, () => response.end());
    else response.end('short\n');
  });
  const url = await front(t, upstream);
  const { first, stdout } = await curl(t, ['--http1.0', `${url}/long`]);
  // A server answers with its own version (RFC 9110, 6.2).
  t.match(first, { status: 200, error: undefined });
  t.notOk('transfer-encoding' in first.headers);
  t.ok(stdout.equals(bytes));
  t.equal(`${(await curl(t, ['--http1.0', url])).stdout}`, 'short\n');
  t.equal((await curl(t, ['--http1.0', `${url}/empty`])).first.status, 204);
  const kept = await curl(t, ['--http1.0', '-H', 'Connection: keep-alive', url, url]);
  t.strictSame(
    kept.transfers.map(({ connects }) => connects),
    [1, 0],
    'kept where it was asked for',
  );
});

t.test('an HTTP/1.0 client sends a body', { skip }, async (t) => {
  const url = await front(t, await origin(t, digest));
  const { stdout } = await curl(t, ['--http1.0', '--data-binary', 'of 1.0', url]);
  t.match(JSON.parse(`${stdout}`), {
    httpVersion: '1.1',
    digest: digestOf(Buffer.from('of 1.0')),
    headers: { via: '1.0 mproxy' },
  });
});

t.test('a compressed response passes as it is', { skip }, async (t) => {
  const text = 'compress me '.repeat(10_000);
  const upstream = await origin(t, (request, response) => {
    if (!/gzip/.test(request.headers['accept-encoding'] ?? '')) response.end(text);
    else response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(text));
  });
  const url = await front(t, upstream);
  const compressed = await curl(t, ['--compressed', url]);
  t.strictSame(compressed.first.headers['content-encoding'], ['gzip']);
  t.equal(`${compressed.stdout}`, text);
  const plain = await curl(t, [url]);
  t.notOk('content-encoding' in plain.first.headers);
  t.equal(`${plain.stdout}`, text);
});

t.test('ranges, conditions and continued downloads of a static file', { skip }, async (t) => {
  const bytes = randomBytes(1_000_000);
  const cwd = t.testdir({ root: {} });
  writeFileSync(join(cwd, 'root/file.bin'), bytes);
  const front = await configured(t, { cwd }, { routes: [{ path: '/', static: { root: 'root' } }] });
  const url = `${front.url}/file.bin`;
  const part = await curl(t, ['-r', '500-1499', url]);
  t.match(part.first, { status: 206, headers: { 'content-range': ['bytes 500-1499/1000000'] } });
  t.ok(part.stdout.equals(bytes.subarray(500, 1500)));
  t.ok((await curl(t, ['-r', '-10', url])).stdout.equals(bytes.subarray(-10)));
  t.equal((await curl(t, ['-r', '1000000-', url])).first.status, 416);
  const several = await curl(t, ['-r', '0-9,100-109', url]);
  t.match(several.first.headers['content-type'], [/^multipart\/byteranges; boundary=/]);

  writeFileSync(join(cwd, 'part'), bytes.subarray(0, 123_456));
  t.equal((await curl(t, ['-C', '-', '-o', 'part', url], '', { cwd })).first.status, 206);
  t.ok(readFileSync(join(cwd, 'part')).equals(bytes), 'a continued download is whole');

  t.equal((await curl(t, ['--etag-save', 'etag', '-o', 'file', url], '', { cwd })).first.status, 200);
  t.equal((await curl(t, ['--etag-compare', 'etag', '-o', 'file', url], '', { cwd })).first.status, 304);
  t.equal((await curl(t, ['-z', 'file', url], '', { cwd })).first.status, 304, 'If-Modified-Since');
});

t.test('redirections and cookies of an origin below a prefix', { skip }, async (t) => {
  const upstream = await origin(t, (request, response) => {
    const { url, headers } = request;
    if (url === '/login') {
      const headers = { location: `${upstream}/home?a=b`, 'set-cookie': 'id=7; Path=/; HttpOnly' };
      response.writeHead(302, headers).end();
    } else response.end(`${url} ${headers.cookie} ${headers['x-forwarded-prefix']}`);
  });
  const cwd = t.testdir();
  const { url } = await configured(
    t,
    { cwd },
    { routes: [{ path: '/app', upstream, strip_prefix: '/app', host_header: 'upstream' }] },
  );
  const { stdout } = await curl(t, ['-L', '-c', 'jar', '-b', 'jar', `${url}/app/login`], '', { cwd });
  t.equal(`${stdout}`, '/home?a=b id=7 /app');
  t.match(readFileSync(join(cwd, 'jar'), 'utf8'), /#HttpOnly_127\.0\.0\.1\tFALSE\t\/app\/?\tFALSE\t0\tid\t7/);
});

t.test('paths are forwarded in their normal form', { skip }, async (t) => {
  const url = await front(t, await origin(t));
  const get = async (path: string) => {
    const { first, stdout } = await curl(t, ['--path-as-is', `${url}${path}`]);
    return first.status === 200 ? `${stdout}` : first.status;
  };
  t.equal(await get('/a/./b/../%7euser?x=/../y'), '/a/~user?x=/../y');
  t.equal(await get('/../etc/passwd'), 400);
  t.equal(await get('/a%00b'), 400);
});

t.test('Unix sockets on both sides', { skip }, async (t) => {
  const cwd = shortFolder(t);
  const bytes = randomBytes(SIZE);
  const server = createServer(digest);
  const upstream = await served(t, server, join(cwd, 'app.sock'));
  const gateway = start(t, 'gateway', ['--listen-addr', 'unix:web.sock', '--route', `/=${upstream}`], {
    cwd,
  });
  await gateway.says(/listening: http unix:.*\/web\.sock\n/);
  const { stdout, first } = await curl(
    t,
    ['--unix-socket', 'web.sock', '-T', '-', 'http://some.host/'],
    bytes,
    {
      cwd,
    },
  );
  t.equal(first.status, 200);
  const { headers, ...seen } = JSON.parse(`${stdout}`);
  t.match(seen, { digest: digestOf(bytes) });
  t.match(headers, { host: 'some.host', 'x-forwarded-host': 'some.host' });
  t.equal(await gateway.stop(), 0);
});

t.test('a response that is cut is an error', { skip }, async (t) => {
  const upstream = await origin(t, async (request, response) => {
    if (request.url === '/length') response.setHeader('content-length', 1000);
    response.write('begin');
    await turn();
    response.destroy();
  });
  const url = await front(t, upstream);
  for (const path of ['/length', '/chunked'])
    for (const version of ['--http1.0', '--http1.1']) {
      const { first } = await curl(t, [version, `${url}${path}`]);
      t.ok(first.error, `${version} ${path}: ${first.error}`);
    }
});

t.test('a PROXY header of curl', { skip }, async (t) => {
  const { url } = await configured(
    t,
    {},
    {
      listen: [{ address: '127.0.0.1:0', proxy_protocol: true }],
      trusted_proxies: ['127.0.0.1'],
      routes: [{ path: '/', upstream: await origin(t, digest) }],
    },
  );
  const { transfers, stdout } = await curl(t, ['--haproxy-protocol', url, url]);
  t.strictSame(
    transfers.map(({ status, connects }) => ({ status, connects })),
    [
      { status: 200, connects: 1 },
      { status: 200, connects: 0 },
    ],
  );
  t.match(`${stdout}`, '"x-forwarded-for":"127.0.0.1"');
  const without = await curl(t, [url]);
  t.match(without.first, { status: 0, error: /./ });
  const untrusted = await curl(t, ['--haproxy-protocol', '--interface', '127.0.0.2', url]);
  t.match(untrusted.first, { status: 0, error: /./ });
});

t.test('a client that leaves ends the request of the origin', { skip }, async (t) => {
  let left = false;
  const upstream = await origin(t, (_, response) => {
    response.write('begin');
    response.once('close', () => {
      left = true;
    });
  });
  const client = startProgram(t, 'curl', ['-sN', await front(t, upstream)]);
  await until('the response begins', () => `${client.stdout}` === 'begin');
  t.notOk(left);
  await client.kill();
  await until('the request of the origin ended', () => left);
});
