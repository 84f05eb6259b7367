import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { Body } from 'mproxy-service/http/body';
import type { HttpResponse } from 'mproxy-service/http/message';
import { STATIC, staticFiles } from 'mproxy-service/layers/static';
import t, { type Test } from 'tap';
import { shortFolder } from '../../support/short-folder.js';
import { bytesOf, call, contextOf, echo, type Given, requestOf } from '../calls.js';
import { layerOf, problemsOf } from './tables.js';

const TEXT = '0123456789'.repeat(10);
const MODIFIED = new Date('2026-11-27T10:33:26.5Z');

/** A folder with files, and others beside it. */
function site(t: Test) {
  const dir = t.testdir({
    'secret.txt': 'outside',
    'site-2': { 'x.txt': 'outside, too' },
    site: {
      'a.txt': TEXT,
      'ä ö.html': '<p>',
      'a%2Fb.txt': 'escaped name',
      'empty.css': '',
      'no-type': 'x',
      'index.html': 'home',
      '.env': 'secret',
      '.well-known': { 'acme.txt': 'token', '.hidden': 'secret' },
      '.git': { config: 'secret' },
      docs: { 'index.html': 'docs', 'other.txt': 'other' },
      bare: { 'file.js': 'js' },
      odd: { 'index.html': {} },
    },
  });
  const root = join(dir, 'site');
  utimesSync(join(root, 'a.txt'), MODIFIED, MODIFIED);
  return { dir, root, service: staticFiles({ root }) };
}

/** Descriptors of this process whose files are below a folder. */
function openBelow(folder: string): string[] {
  return readdirSync('/proc/self/fd')
    .map((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`);
      } catch {
        return '';
      }
    })
    .filter((path) => path.startsWith(folder));
}

t.test('files, by GET and HEAD', async (t) => {
  const { root, service } = site(t);
  const { status, fields, body } = await call(service, { target: '/a.txt?v=1' });
  t.equal(status, 200);
  t.equal(body, TEXT);
  t.match(fields, {
    'content-type': 'text/plain; charset=utf-8',
    'last-modified': 'Fri, 27 Nov 2026 10:33:26 GMT',
    'accept-ranges': 'bytes',
    'x-content-type-options': 'nosniff',
    etag: /^"[0-9a-f]+-64"$/,
  });
  const head = await call(service, { method: 'HEAD', target: '/a.txt' });
  t.strictSame(head.fields, { ...fields, 'content-length': '100' });
  t.equal(head.body, '');
  for (const [target, body, type] of [
    ['/%C3%A4%20%C3%B6.html', '<p>', 'text/html; charset=utf-8'],
    ['/a%252Fb.txt', 'escaped name', 'text/plain; charset=utf-8'],
    ['/empty.css', '', 'text/css; charset=utf-8'],
    ['/no-type', 'x', 'application/octet-stream'],
    ['/', 'home', 'text/html; charset=utf-8'],
    ['/docs/', 'docs', 'text/html; charset=utf-8'],
    ['/docs/other.txt', 'other', 'text/plain; charset=utf-8'],
    ['/bare/file.js', 'js', 'text/javascript; charset=utf-8'],
    ['/.well-known/acme.txt', 'token', 'text/plain; charset=utf-8'],
  ] as const)
    t.match(await call(service, { target }), { status: 200, body, fields: { 'content-type': type } }, target);
  t.match(await call(service, { method: 'POST', target: '/a.txt', body: 'x' }), {
    status: 405,
    fields: { allow: 'GET, HEAD' },
  });
  t.match(await call(service, { method: 'OPTIONS', target: '*' }), { status: 405 });
  const other = staticFiles({ root, index: 'a.txt' });
  t.match(await call(other), { body: TEXT }, 'another index');
  t.strictSame(openBelow(root), []);
});

t.test('path attacks: 404, nothing beyond the folder, no hidden file, no list', async (t) => {
  const { root, service } = site(t);
  for (const target of [
    '/missing',
    '/bare/',
    '/bare',
    '/odd/',
    '/odd',
    '/a.txt/',
    '/a.txt/x',
    '/docs//other.txt',
    '//a.txt',
    '/..%2Fsecret.txt',
    '/%2E%2E%2Fsecret.txt',
    '/../secret.txt',
    '/docs/../../secret.txt',
    '/..%5Csecret.txt',
    '/docs%2Fother.txt',
    '/docs/..%2F..%2Fsecret.txt',
    '/....//secret.txt',
    '/..;/secret.txt',
    '/..%00/secret.txt',
    '/a.txt%00.html',
    '/../site-2/x.txt',
    '/.env',
    '/.git/config',
    '/%2Eenv',
    '/.well-known/.hidden',
    '/.well-known/',
    '/docs/.',
    '/docs/..',
    '/%C3.txt',
    '/%FF',
    `/${'x'.repeat(300)}`,
    `/${'x/'.repeat(3000)}`,
  ])
    t.match(await call(service, { target }), { status: 404, body: 'no such file\n' }, target);
  t.strictSame(openBelow(root), []);
});

t.test('symbolic links: followed within the folder, not out of it', async (t) => {
  const { dir, root, service } = site(t);
  for (const [name, to] of [
    ['inner.txt', 'a.txt'],
    ['abs.txt', join(root, 'a.txt')],
    ['out.txt', '../secret.txt'],
    ['abs-out.txt', join(dir, 'secret.txt')],
    ['twin.txt', '../site-2/x.txt'],
    ['up', '..'],
    ['down', 'docs'],
    ['etc', '/etc'],
    ['loop', 'loop'],
    ['dangling', 'missing'],
    ['zero', '/dev/zero'],
    ['self', '/proc/self/environ'],
    ['out-index', '../site-3'],
  ] as const)
    symlinkSync(to, join(root, name));
  mkdirSync(join(dir, 'site-3'));
  writeFileSync(join(dir, 'site-3', 'index.html'), 'outside');
  for (const [target, expected] of [
    ['/inner.txt', TEXT],
    ['/abs.txt', TEXT],
    ['/down/other.txt', 'other'],
    ['/down/', 'docs'],
    ['/out.txt', 404],
    ['/abs-out.txt', 404],
    ['/twin.txt', 404],
    ['/up/secret.txt', 404],
    ['/up/site/a.txt', TEXT],
    ['/etc/passwd', 404],
    ['/loop', 404],
    ['/dangling', 404],
    ['/zero', 404],
    ['/self', 404],
    ['/out-index/', 404],
    ['/out-index', 404],
  ] as const) {
    const { status, body } = await call(service, { target });
    t.equal(status === 200 ? body : status, expected, target);
  }
  t.strictSame(openBelow(dir), []);
});

t.test('the folder is a symbolic link that leads to another release', async (t) => {
  const { dir } = site(t);
  const current = join(dir, 'current');
  symlinkSync('site', current);
  const service = staticFiles({ root: current });
  t.match(await call(service, { target: '/docs/' }), { body: 'docs' });
  symlinkSync('site-2', join(dir, 'next'));
  renameSync(join(dir, 'next'), current);
  t.match(await call(service, { target: '/x.txt' }), { status: 200, body: 'outside, too' });
  t.match(await call(service, { target: '/docs/' }), { status: 404 });
  unlinkSync(current);
  t.match(await call(service, { target: '/x.txt' }), { status: 404 });
});

t.test('FIFOs, sockets and devices are no files, and nobody waits for them', async (t) => {
  const { root, service } = site(t);
  execFileSync('mkfifo', [join(root, 'fifo')]);
  const names = ['fifo', 'socket'];
  const short = shortFolder(t);
  const server = createServer().listen(join(short, 'socket'));
  t.teardown(() => server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  renameSync(join(short, 'socket'), join(root, 'socket'));
  try {
    execFileSync('mknod', [join(root, 'null'), 'c', '1', '3'], { stdio: 'ignore' });
    names.push('null');
  } catch {
    t.comment('no device can be made here');
  }
  for (const name of names) t.match(await call(service, { target: `/${name}` }), { status: 404 }, name);
});

t.test('a path to a folder gets its slash, relative to whatever was removed from it', async (t) => {
  const { service } = site(t);
  for (const [target, location] of [
    ['/docs', './docs/'],
    ['/docs?a=//b', './docs/?a=//b'],
    ['/%64ocs', './%64ocs/'],
  ] as const)
    t.match(await call(service, { target }), { status: 301, fields: { location } }, target);
});

t.test('preconditions', async (t) => {
  const { root, service } = site(t);
  const { etag } = (await call(service, { target: '/a.txt' })).fields as { etag: string };
  const at = (seconds: number) => new Date(MODIFIED.getTime() + seconds * 1000).toUTCString();
  for (const [fields, expected] of [
    [{ 'if-none-match': etag }, 304],
    [{ 'if-none-match': `W/${etag}` }, 304],
    [{ 'if-none-match': '*' }, 304],
    [{ 'if-none-match': `"a", W/"b,c" ,, ${etag}` }, 304],
    [{ 'if-none-match': '"a"' }, 200],
    [{ 'if-none-match': `a ${etag}` }, 200],
    [{ 'if-none-match': '"a"', 'if-modified-since': at(10) }, 200],
    [{ 'if-modified-since': at(0) }, 304],
    [{ 'if-modified-since': at(10) }, 304],
    [{ 'if-modified-since': at(-1) }, 200],
    [{ 'if-modified-since': 'yesterday' }, 200],
    [{ 'if-match': etag }, 200],
    [{ 'if-match': '*' }, 200],
    [{ 'if-match': '"a"' }, 412],
    [{ 'if-match': `W/${etag}` }, 412],
    [{ 'if-match': etag, 'if-none-match': etag }, 304],
    [{ 'if-unmodified-since': at(0) }, 200],
    [{ 'if-unmodified-since': at(-1) }, 412],
    [{ 'if-match': etag, 'if-unmodified-since': at(-1) }, 200],
  ] as [Record<string, string>, number][]) {
    for (const method of ['GET', 'HEAD']) {
      const answer = await call(service, { method, target: '/a.txt', fields });
      t.equal(answer.status, expected, `${method} ${JSON.stringify(fields)}`);
      if (expected !== 200) t.match(answer, { body: '', fields: { etag, 'content-length': undefined } });
    }
  }
  writeFileSync(join(root, 'a.txt'), TEXT.replace('0', '1'));
  t.match(
    await call(service, { target: '/a.txt', fields: { 'if-none-match': etag } }),
    { status: 200 },
    'changed',
  );
  t.strictSame(openBelow(root), []);
});

t.test('one range', async (t) => {
  const { root, service } = site(t);
  const etag = (await call(service, { target: '/a.txt' })).fields.etag!;
  const date = MODIFIED.toUTCString();
  const get = (range: string, more: Record<string, string> = {}, method = 'GET') =>
    call(service, { method, target: '/a.txt', fields: { range, ...more } });
  for (const [range, from, to] of [
    ['bytes=0-0', 0, 1],
    ['bytes=10-19', 10, 20],
    ['Bytes= 10-19', 10, 20],
    ['bytes=90-', 90, 100],
    ['bytes=-7', 93, 100],
    ['bytes=-1000', 0, 100],
    ['bytes=95-1000', 95, 100],
    ['bytes=0-99999999999999999999999999', 0, 100],
    ['bytes=100-,5-6', 5, 7],
  ] as const)
    t.match(
      await get(range),
      {
        status: 206,
        body: TEXT.slice(from, to),
        fields: {
          'content-range': `bytes ${from}-${to - 1}/100`,
          'content-type': 'text/plain; charset=utf-8',
          etag,
        },
      },
      range,
    );
  for (const range of ['bytes=100-', 'bytes=-0', 'bytes=99999999999999999999999-', 'bytes=200-300,400-'])
    t.match(await get(range), { status: 416, fields: { 'content-range': 'bytes */100' } }, range);
  for (const range of [
    'bytes=',
    'bytes=-',
    'bytes=5-4',
    'bytes=a-b',
    'bytes=1',
    'lines=0-1',
    'bytes=0-1,x',
    'bytes=0-1,',
    'bytes=0x1-2',
    'bytes = 0-1',
    'bytes=--1',
  ])
    t.match(await get(range), { status: 200, body: TEXT }, `${range} is not understood`);
  for (const [condition, status] of [
    [etag, 206],
    [date, 206],
    ['"other"', 200],
    [`W/${etag}`, 200],
    [new Date(MODIFIED.getTime() + 5000).toUTCString(), 200],
  ] as const)
    t.equal((await get('bytes=0-1', { 'if-range': condition })).status, status, condition);
  t.match(await get('bytes=0-1', { 'if-none-match': etag }), { status: 304 }, 'preconditions come first');
  t.match(await get('bytes=0-1', {}, 'HEAD'), { status: 200, fields: { 'content-length': '100' } });
  const empty = { target: '/empty.css', fields: { range: 'bytes=0-' } };
  t.match(await call(service, empty), { status: 416 }, 'of an empty file, none can be satisfied');
  t.strictSame(openBelow(root), []);
});

t.test('several ranges, as parts; too many, or more bytes than the file has: the whole file', async (t) => {
  const { root, service } = site(t);
  const get = (range: string) => call(service, { target: '/a.txt', fields: { range } });
  const { status, fields, body } = await get('bytes=0-1, 50-52,-3');
  t.equal(status, 206);
  t.equal(fields['content-range'], undefined);
  const [, boundary] = /^multipart\/byteranges; boundary=([0-9a-f-]+)$/.exec(fields['content-type']!)!;
  const part = (range: string, text: string) =>
    `--${boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes ${range}/100\r\n\r\n${text}\r\n`;
  t.equal(body, `${part('0-1', '01')}${part('50-52', '012')}${part('97-99', '789')}--${boundary}--\r\n`);
  const response = service.call(
    requestOf({ target: '/a.txt', fields: { range: 'bytes=0-1,5-6' } }),
    contextOf(),
  );
  const { body: stream } = response as HttpResponse;
  const { length } = stream!;
  t.equal((await bytesOf(stream!)).length, length, 'its length is known before');
  const list = (count: number, range: (i: number) => string) =>
    `bytes=${Array.from({ length: count }, (_, i) => range(i)).join(',')}`;
  t.match(await get(list(16, (i) => `${i}-${i}`)), { status: 206 });
  t.match(await get(list(17, (i) => `${i}-${i}`)), { status: 200, body: TEXT });
  t.match(
    await get(list(2000, () => '0-')),
    { status: 200, body: TEXT },
    'ranges that overlap (CVE-2011-3192)',
  );
  t.match(await get('bytes=0-,0-'), { status: 200, body: TEXT });
  t.match(await get('bytes=0-59,40-99'), { status: 200, body: TEXT });
  t.match(await get('bytes=0-49,50-99'), { status: 206 });
  t.match(await get('bytes=0-1,200-,99-'), { status: 206 }, 'those that can be satisfied');
  t.strictSame(openBelow(root), []);
});

t.test('a file is closed when its body has ended, failed, or is given up', async (t) => {
  const { root, service } = site(t);
  const body = (target: string) =>
    (service.call(requestOf({ target }), contextOf()) as HttpResponse).body as Body;
  const file = join(root, 'a.txt');
  const given = body('/a.txt');
  t.strictSame(openBelow(root), [file]);
  given.cancel();
  given.cancel();
  t.strictSame(openBelow(root), []);
  const shrinking = body('/a.txt');
  writeFileSync(file, 'short');
  await t.rejects(bytesOf(shrinking), new Error('the file was truncated'));
  t.strictSame(openBelow(root), []);
  const growing = body('/a.txt');
  writeFileSync(file, 'short, and more');
  t.equal(String(await bytesOf(growing)), 'short', 'no byte beyond the length that was said');
  const given2 = await call(service, { target: '/a.txt', fields: { 'if-match': '"x"' } } as Given);
  t.equal(given2.status, 412);
  t.strictSame(openBelow(root), []);
});

t.test('its table', async (t) => {
  const { root } = site(t);
  t.match(await call(layerOf(STATIC, { root })(echo), { target: '/docs/' }), { body: 'docs' });
  t.strictSame(problemsOf(STATIC, { root: 'site' }, join(root, '..')), [], 'relative to the document');
  for (const [config, problem] of [
    [{}, 'config.root: it is missing; expected a path'],
    [
      { root: '/missing-folder' },
      'config.root: "/missing-folder": no such file or directory; expected a folder',
    ],
    [{ root: join(root, 'a.txt') }, `config.root: ${JSON.stringify(join(root, 'a.txt'))}: not a directory`],
    [{ root, index: 'a/b' }, 'config.index: "a/b": expected the name of a file'],
  ] as const)
    t.match(problemsOf(STATIC, config)[0], problem.slice(0, 60));
  t.throws(() => staticFiles({ root: '/missing-folder' }), {
    code: 'MPROXY_FILE',
    message: 'static: /missing-folder: no such file or directory',
  });
});
