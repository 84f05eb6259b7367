import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Notice } from 'mproxy-flow';
import { type AccessLogOutput, openAccessLog } from 'mproxy-gateway/access-log/access-log';
import type { AccessLogConfig } from 'mproxy-gateway/config/types';
import t, { type Test } from 'tap';
import { contentOf, piecesOf, rotated } from '../server/rotated.js';
import { noMounts, smallDisk } from '../support/disk.js';
import { until } from '../support/wait.js';
import { Client, ENGINE, gateway, origin } from './running.js';

/** An access log of the main thread, and its notices. */
async function opened(t: Test, config: Partial<AccessLogConfig> & { to: string }) {
  const notices: Notice[] = [];
  const all = {
    ...{ format: 'json' as const, redactQuery: false, rotateSize: undefined, rotateEvery: undefined },
    ...{ keep: undefined, gzip: false },
    ...config,
  };
  const log = await openAccessLog(all, { engine: ENGINE, onNotice: (notice) => notices.push(notice) });
  let isOpen = true;
  const close = async () => {
    if (isOpen) await log.close();
    isOpen = false;
  };
  t.teardown(close);
  return { log, notices, close };
}

function write(log: AccessLogOutput, ...lines: string[]): void | Promise<void> {
  return log.write(new Uint8Array(Buffer.from(`${lines.join('\n')}\n`)), lines.length);
}

t.test('a file: appended to, reopened after it was moved away', async (t) => {
  const file = join(t.testdir({ 'a.log': 'before\n' }), 'a.log');
  const { log, notices, close } = await opened(t, { to: file });
  t.equal(write(log, 'one', 'two'), undefined, 'written at once');
  t.equal(readFileSync(file, 'utf8'), 'before\none\ntwo\n');
  renameSync(file, `${file}.1`);
  write(log, 'three');
  log.reload();
  write(log, 'four');
  t.equal(readFileSync(`${file}.1`, 'utf8'), 'before\none\ntwo\nthree\n');
  t.equal(readFileSync(file, 'utf8'), 'four\n');
  t.match(log.counts, { datagrams: 4, bytes: 19, dropped: 0 });
  t.strictSame(
    notices.map(({ event }) => event),
    ['writing', 'file_reopened'],
  );
  await close();
});

t.test('a file is rotated between records', async (t) => {
  const file = join(t.testdir({}), 'a.log');
  const { log, close } = await opened(t, { to: file, rotateSize: 64 * 1024, keep: 2, gzip: true });
  const lines = Array.from({ length: 400 }, (_, i) => `${i} ${'x'.repeat(1000)}`);
  for (let i = 0; i < lines.length; i += 25) write(log, ...lines.slice(i, i + 25));
  await rotated(file, 2);
  await until('compressed', () => piecesOf(file).every((piece) => piece.endsWith('.gz')));
  await close();
  const kept = [...piecesOf(file).map((piece) => contentOf(piece)), readFileSync(file)].map(String);
  for (const text of kept) t.ok(text.length <= 64 * 1024 && text.endsWith('x\n'), `${text.length} bytes`);
  t.equal(
    kept.join(''),
    lines
      .slice(-kept.join('').split('\n').length + 1)
      .join('\n')
      .concat('\n'),
  );
});

t.test('datagrams: one for each record', async (t) => {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  t.teardown(() => socket.close());
  const got: string[] = [];
  socket.on('message', (message) => got.push(String(message)));
  const { log } = await opened(t, { to: `udp://127.0.0.1:${socket.address().port}` });
  const lines = Array.from({ length: 150 }, (_, i) => `record ${i}`);
  write(log, ...lines);
  await until('they came', () => got.length === lines.length);
  t.strictSame(
    got,
    lines.map((line) => `${line}\n`),
  );
  t.equal(log.counts.datagrams, 150);
});

t.test(
  'a full disk: what is written then waits, and is written when there is room',
  { skip: noMounts },
  async (t) => {
    const { dir, ballast } = smallDisk(t);
    const file = join(dir, 'a.log');
    const { log, notices } = await opened(t, { to: file });
    const lines = Array.from({ length: 30 }, (_, i) => `${i} ${'x'.repeat(1000)}`);
    let isWritten = false;
    const waits = write(log, ...lines);
    t.ok(waits, 'not written yet');
    void waits!.then(() => {
      isWritten = true;
    });
    t.match(notices.at(-1), { event: 'write_failed', kind: 'loss' });
    await new Promise((resolve) => setImmediate(resolve));
    t.notOk(isWritten);
    rmSync(ballast);
    await waits;
    t.equal(readFileSync(file, 'utf8'), `${lines.join('\n')}\n`);
  },
);

t.test('what could not be written when it closes is reported, as records', { skip: noMounts }, async (t) => {
  const { dir } = smallDisk(t);
  const { log, close } = await opened(t, { to: join(dir, 'a.log') });
  const lines = Array.from({ length: 30 }, (_, i) => `${i} ${'x'.repeat(1000)}`);
  t.ok(write(log, ...lines));
  await close();
  const { dropped } = log.counts;
  t.ok(dropped > 0 && dropped < 30);
  t.ok(log.losses().some(({ lost }) => lost === `dropped ${dropped} records`));
});

t.test('a file that cannot be opened is an error', async (t) => {
  const to = '/missing-folder/a.log';
  await t.rejects(opened(t, { to }), {
    code: 'MPROXY_FILE',
    message: `opening: ${to}: no such file or directory`,
  });
});

t.test('a gateway: every request has a record when its response has ended, rejected ones too', async (t) => {
  const file = join(t.testdir({}), 'a.log');
  const url = await origin(t);
  const running = await gateway(t, { route: [`/=${url}`], accessLog: file, workers: 2 });
  const client = new Client(t, running.port);
  t.match(await client.get('/x?q=1'), { status: 200 });
  const bad = new Client(t, running.port);
  bad.socket.write('GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n');
  t.match(await bad.response(), { status: 400 });
  await until(
    'both are written',
    () => existsSync(file) && readFileSync(file, 'utf8').split('\n').length === 3,
  );
  const records = readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const served = records.find(({ status }) => status === 200);
  t.match(served, {
    time: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
    client: '127.0.0.1',
    method: 'GET',
    host: 'test',
    path: '/x?q=1',
    protocol: 'HTTP/1.1',
    received: 0,
    sent: 6,
    route: '/',
    upstream: url.replace('http://', ''),
  });
  t.ok(served.duration >= served.first_byte && served.first_byte > 0);
  t.match(
    records.find(({ status }) => status === 400),
    { client: '127.0.0.1', method: '-', cut: /Host/ },
  );
  renameSync(file, `${file}.1`);
  running.handle.reload();
  await client.get('/after');
  await until('it goes on in a new file', () => /"\/after"/.test(readFileSync(file, 'utf8')));
});
